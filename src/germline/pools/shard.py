"""A shard: a named piece of a pool that yields its rows one after the other, and says by its digest whether it changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from germline.core import digest
from germline.data.pictures import Unreadable

UID = re.compile(r"[0-9a-f]{32}")
LARGEST = 1 << 30  # bytes of one stored picture


@dataclass(frozen=True)
class Row:
    """One row of a shard: a picture, stored or as pixels, with what is told about it; or the reason why there is none.

    Attributes:
        id: its name, unique in the pool: a file's path, FILE#ROW, or TAR/KEY.
        uid: 32 hex digits: the pool's own where it has one (a column or JSON entry ``uid``), else of the id.
        read: returns the stored bytes.
        pixels: the image itself, where the pool holds arrays.
        text: the caption, "" if there is none.
        label: the class, a number or a name.
        file: where the picture lies on this machine, if it is a file of its own.
        size: bytes that it takes in the pool.
        skipped: why it cannot be used; "" if it can, as far as known before decoding.
    """

    id: str
    uid: str
    read: Callable[[], bytes] | None = None
    pixels: UInt8[np.ndarray, "h w c"] | None = None
    text: str = ""
    label: int | str | None = None
    file: str | None = None
    size: int = 0
    skipped: str = ""

    @property
    def words(self) -> str:
        """The caption, else the class in words; "" if there is neither."""
        return self.text or ("" if self.label is None else str(self.label))

    def stored(self) -> bytes:
        """Return the picture's bytes as they are stored.

        Raises:
            Unreadable: there are none.
        """
        if self.skipped or self.read is None:
            raise Unreadable(self.skipped or "it has no stored bytes")
        try:
            return self.read()
        except OSError as error:
            raise Unreadable(f"it cannot be opened ({error.strerror or error})") from error


@dataclass(frozen=True)
class Shard:
    """A piece of a pool.

    Attributes:
        name: unique in the pool.
        digest: changes with the content, as far as sizes, times and tags of its files tell.
        rows: yields its rows, always the same ones in the same order.
        count: how many there are, None where only reading tells.
        size: bytes that its files take.
        vectors: opens its embeddings, (rows, d) floats, where the pool is one of embeddings.
        classes: the names of its classes in the order of their numbers, where its file has them.
    """

    name: str
    digest: str
    rows: Callable[[], Iterator[Row]]
    count: int | None = None
    size: int = 0
    vectors: Callable[[], Float[np.ndarray, "n d"]] | None = None
    classes: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """The name of its files in an output folder: another content, another name."""
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", self.name)[-80:].lstrip(".")
        return f"{plain}-{digest.of_json([self.name, self.digest])[:12]}"


def uid_of(identity: str, given: object = None) -> str:
    """Return a row's 128 bits: those that the pool gives, else the first of its id's sha256."""
    own = given.replace("-", "").lower() if isinstance(given, str) else ""
    return own if UID.fullmatch(own) else digest.of_bytes(identity.encode())[:32]


def printable(name: str) -> str:
    r"""Return a file's name as text that can be stored: bytes that are no UTF-8 become \xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
