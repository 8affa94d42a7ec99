"""A pool's images decoded into one file, in order, with one of them in memory at a time; a killed decoding goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8

from germline.core.atomic import replacing
from germline.core.errors import BadInput, GermlineError
from germline.core.mapped import Mapped
from germline.core.neighbours import slices
from germline.core.progress import Progress, silent
from germline.data.listing import Label
from germline.data.pictures import Unreadable
from germline.pools.blocks import Fit, image_of
from germline.pools.opened import Opened
from germline.pools.shard import Shard

ABOUT, CHUNK = b"germline", 1024


@dataclass(frozen=True, eq=False)
class Decoded:
    """The images of all rows that could be decoded, in a file that is read a piece at a time; their names and labels.

    ``skipped`` has the other rows, with reasons; ``ends`` has the row after the last one of each pool.
    """

    images: UInt8[np.ndarray, "n h w c"]
    names: tuple[str, ...]
    labels: tuple[Label, ...]
    skipped: tuple[tuple[str, str], ...]
    ends: tuple[int, ...]


def decoded(pools: Sequence[Opened], folder: Path, size: int | None = None, skip_bad: bool = False, progress: Progress = silent) -> Decoded:
    """Return the images of pools, one after the other, decoded into ``folder``; all get three channels where any has.

    Raises:
        BadInput: a pool holds embeddings, an image cannot be read and ``skip_bad`` is not set, images differ in size, or there are none.
        GermlineError: the disk is full or the folder is read-only.
    """
    for pool in pools:
        pictures_only(pool)
    file = _File(folder)
    shards = [(number, pool, shard) for number, pool in enumerate(pools) for shard in pool.shards]
    counted = all(shard.count is not None for *_, shard in shards)
    names: list[str] = []
    labels: list[Label] = []
    skipped: list[tuple[str, str]] = []
    ends = [0] * len(pools)
    try:
        with progress("decode" if counted else "decode (bytes)", max(1, sum(_size(shard, counted) for *_, shard in shards))) as advance:
            for place, (number, pool, shard) in enumerate(shards):
                path, done = folder / f"{place:06d}-{shard.stem}.parquet", 0
                found = _read(path, file)
                if found is None:
                    file.cut(len(names))
                    found = []
                    for one in _each(pool, shard, file, Fit(size), skip_bad):
                        found.append(one[:3])
                        advance(1 if counted else one[3])
                        done += 1 if counted else one[3]
                    file.write_through()
                    _write(path, found, file)
                advance(max(0, _size(shard, counted) - done))
                names += [name for name, _, reason in found if not reason]
                labels += [label for _, label, reason in found if not reason]
                skipped += [(name, reason) for name, _, reason in found if reason]
                ends[number] = len(names)
    except OSError as error:
        raise GermlineError(f"Cannot write {folder}: {error.strerror or error}. Free the disk, or name another --cache.") from error
    for number, (end, pool) in enumerate(zip(ends, pools, strict=True)):
        if end == (ends[number - 1] if number else 0):
            why = f"; all {len(skipped)} are unreadable, the first is {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
            raise BadInput(f"{pool.name} holds no readable pictures (such as .png or .jpg){why}.")
    return Decoded(file.images(len(names)), tuple(names), tuple(labels), tuple(skipped), tuple(ends))


def pictures_only(pool: Opened) -> None:
    """Refuse a pool of embeddings.

    Raises:
        BadInput: it is one.
    """
    if any(shard.vectors is not None for shard in pool.shards):
        raise BadInput(
            f"{pool.name} holds embeddings, but an audit of made images looks at pictures; name the folder of them. Of embeddings"
            " germline audit --pool MADE --real REAL tells what looks unlike, and germline select --near-duplicates what repeats."
        )


def coloured(found: Decoded, folder: Path) -> Decoded:
    """Return images of three channels: grey ones repeated, in a file of their own."""
    file = _File(folder)
    file.known(found.images.shape[1:3], "")
    file.colour()
    return Decoded(file.images(len(found.names)), found.names, found.labels, found.skipped, found.ends)


class _File:
    """Images of one shape in a raw file, added one by one: images-1 if they are grey, images-3 once a coloured one came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.channels = 3 if (folder / "images-3").exists() else 1
        self.side: tuple[int, int] | None = None
        self._first = ""
        self._open: BinaryIO | None = None

    @property
    def path(self) -> Path:
        return self._folder / f"images-{self.channels}"

    def known(self, side: tuple[int, int], first: str) -> None:
        """Take the size, and whose it is, of what is there already."""
        if self.side is None:
            self.side, self._first = side, first

    def cut(self, rows: int) -> None:
        """Keep only the first rows: those after them are of a shard that a kill interrupted."""
        self.write_through()
        self.path.touch()
        os.truncate(self.path, rows * self._bytes if self.side else 0)

    def add(self, image: UInt8[np.ndarray, "h w c"], name: str) -> None:
        """Write one image after the others."""
        self.known((image.shape[0], image.shape[1]), name)
        assert self.side is not None
        if image.shape[:2] != self.side:
            (height, width), (other, across) = self.side, image.shape[:2]
            raise BadInput(
                f"Images must have one size, but {self._first} is {width} x {height} and {name} is {across} x {other} (width x height);"
                " give --size 64, say."
            )
        if image.shape[2] > self.channels:
            self.colour()
        if self._open is None:
            self._open = self.path.open("ab")
        self._open.write((image if image.shape[2] == self.channels else np.repeat(image, 3, axis=2)).tobytes())

    def colour(self) -> None:
        """Write the grey images again, with three channels."""
        if self.channels == 3:
            return
        self.write_through()
        grey, self.channels = self.path, 3
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            values = np.memmap(grey, np.uint8, "r") if grey.exists() and grey.stat().st_size else np.empty(0, np.uint8)
            for part in slices(len(values), 1 << 20):
                file.write(np.repeat(values[part], 3).tobytes())
        grey.unlink(missing_ok=True)

    def write_through(self) -> None:
        """Bring everything to the disk."""
        if self._open is not None:
            self._open.flush()
            os.fsync(self._open.fileno())
            self._open.close()
            self._open = None

    def images(self, rows: int) -> Mapped:
        """Return the first rows."""
        height, width = self.side or (1, 1)
        return Mapped.open(self.path, np.dtype(np.uint8), (rows, height, width, self.channels))

    def about(self) -> dict[str, object]:
        """Return what is known of the images so far."""
        return {"side": list(self.side) if self.side else None, "first": self._first}

    @property
    def _bytes(self) -> int:
        assert self.side is not None
        return self.side[0] * self.side[1] * self.channels


def _size(shard: Shard, counted: bool) -> int:
    return (shard.count or 0) if counted else shard.size


def _each(pool: Opened, shard: Shard, file: _File, fit: Fit, skip_bad: bool) -> Iterator[tuple[str, Label, str, int]]:
    """Yield name, label, reason and size of a shard's rows; their images go to the file."""
    for row in shard.rows():
        name, reason = pool.path_of(row.id), ""
        try:
            file.add(image_of(row, fit), name)
        except Unreadable as error:
            reason = str(error)
            if not skip_bad:
                raise BadInput(f"{name}: {reason}. Repair or remove it, or leave such files out with --skip-bad.") from error
        yield name, row.label, reason, row.size


def _write(path: Path, found: Sequence[tuple[str, Label, str]], file: _File) -> None:
    columns = {
        "name": pa.array([name for name, *_ in found], pa.string()),
        "label": pa.array([json.dumps(label) for _, label, _ in found], pa.string()),
        "reason": pa.array([reason for *_, reason in found], pa.string()),
    }
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns).replace_schema_metadata({ABOUT: json.dumps(file.about())}), temporary)


def _read(path: Path, file: _File) -> list[tuple[str, Label, str]] | None:
    """Return the rows of a shard that was decoded before, None if it was not."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return None
    about = json.loads(table.schema.metadata[ABOUT])
    if about["side"]:
        file.known((about["side"][0], about["side"][1]), about["first"])
    return [(one["name"], json.loads(one["label"]), one["reason"]) for one in table.to_pylist()]
