"""Rows to blocks of images of one shape, with little of a shard in memory; what cannot be decoded is told, and never stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64, UInt8

from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.data.pictures import Unreadable, decode, fitted_all
from germline.pools.shard import Row

ROWS, BYTES = 250, 256 << 20  # of images that wait for others of their shape


@dataclass(frozen=True)
class Fit:
    """What is done to every image: its central square brought to ``size``, and its channels made ``channels``; None leaves them."""

    size: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise BadInput(f"--size must be at least 1 pixel, but is {self.size}.")


@dataclass(frozen=True)
class Block:
    """Images of one shape, the rows that they belong to, and these rows' places in the shard."""

    places: Int64[np.ndarray, " n"]
    rows: tuple[Row, ...]
    images: UInt8[np.ndarray, "n h w c"]

    def coloured(self) -> Block:
        """Return the block with three channels, so that grey and coloured images have features of one length."""
        return self if self.images.shape[3] == 3 else replace(self, images=np.repeat(self.images, 3, axis=3))

    def pool(self, conditions: Callable[[tuple[Row, ...]], np.ndarray]) -> Pool:
        """Return the block as a pool."""
        return Pool.of(self.images, conditions(self.rows))


def image_of(row: Row, fit: Fit) -> UInt8[np.ndarray, "h w c"]:
    """Return a row's image.

    Raises:
        Unreadable: there is none, or it cannot be decoded.
    """
    if row.skipped:
        raise Unreadable(row.skipped)
    if row.pixels is None:
        image = decode(row.stored(), fit.size)
    else:
        image = row.pixels if fit.size is None else fitted_all(row.pixels[None], fit.size)[0]
    return image if fit.channels is None else _with_channels(image, fit.channels)


def blocks(rows: Iterable[tuple[int, Row]], fit: Fit, skipped: Callable[[int, str], None]) -> Iterator[Block]:
    """Yield the images of numbered rows in blocks of one shape, at most 250 rows each; ``skipped`` is told place and reason of the others.

    At most 256 MB of images wait; then those of the commonest shape go first. The same rows give the same blocks.
    """
    waiting: dict[tuple[int, ...], list[tuple[int, Row, np.ndarray]]] = {}
    held = 0
    for place, row in rows:
        try:
            image = image_of(row, fit)
        except Unreadable as reason:
            skipped(place, str(reason))
            continue
        bucket = waiting.setdefault(image.shape, [])
        bucket.append((place, _light(row), image))
        held += image.nbytes
        while len(bucket) == ROWS or held > BYTES:
            full = image.shape if len(bucket) == ROWS else max(waiting, key=lambda shape: sum(one[2].nbytes for one in waiting[shape]))
            block = _block(waiting.pop(full))
            held -= block.images.nbytes
            bucket = []
            yield block
    for shape in list(waiting):
        yield _block(waiting.pop(shape))


def _light(row: Row) -> Row:
    """Return what is told of a row, without its picture, so that waiting rows hold no bytes twice."""
    return Row(row.id, row.uid, text=row.text, label=row.label)


def _block(members: list[tuple[int, Row, np.ndarray]]) -> Block:
    places, rows, images = zip(*members, strict=True)
    return Block(np.array(places, np.int64), rows, np.stack(images))


def _with_channels(image: UInt8[np.ndarray, "h w c"], channels: int) -> UInt8[np.ndarray, "h w c"]:
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    # the weights of ITU-R BT.601, as Pillow's "L" has them
    grey: np.ndarray = np.rint(image @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.uint8)
    return grey
