"""Arrays in files of which only what is asked for is in memory, and not for long."""

from __future__ import annotations

import mmap
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np


class Mapped(np.ndarray):
    """An array in a raw file: indexing copies rows out and lets go of the file's pages, which a memory map keeps and counts as its own."""

    _mapping: mmap.mmap | None

    @classmethod
    def open(cls, path: Path, kind: np.dtype, shape: tuple[int, ...]) -> Mapped:
        """Return the array of a file of this type and shape; an empty one needs no file."""
        if not prod(shape):
            return np.empty(shape, kind).view(cls)
        with path.open("rb") as file:
            mapping = mmap.mmap(file.fileno(), prod(shape) * kind.itemsize, access=mmap.ACCESS_READ)
        found = np.frombuffer(mapping, kind).reshape(shape).view(cls)
        found._mapping = mapping
        return found

    def __array_finalize__(self, whole: object) -> None:
        """Keep the file of the array that this one is a view of."""
        self._mapping = getattr(whole, "_mapping", None)

    def __getitem__(self, rows: object) -> np.ndarray:
        """Return a copy of these rows."""
        found: np.ndarray = self.view(np.ndarray)[rows]  # type: ignore[call-overload]
        if not (isinstance(found, np.ndarray) and found.flags.owndata):  # a slice is a view, a list of rows is a copy already
            found = np.array(found)
        if self._mapping is not None:
            self._mapping.madvise(mmap.MADV_DONTNEED)
        return found


class Collected:
    """Rows of one shape that are added in pieces and then are one array: in a file that is ``Mapped``, or in memory without a path."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._parts, self._rows = path, list[np.ndarray](), 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Collected:
        """Open the file, empty."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def add(self, rows: np.ndarray) -> None:
        """Add rows after the others."""
        if self._file is None:
            self._parts.append(rows)
        else:
            self._parts, self._rows = [rows[:0]], self._rows + len(rows)
            self._file.write(np.ascontiguousarray(rows).data)

    def array(self) -> np.ndarray:
        """Return all rows; none can be added after."""
        if self._file is None or self._path is None:
            return np.concatenate(self._parts)
        self._file.flush()
        return Mapped.open(self._path, self._parts[0].dtype, (self._rows, *self._parts[0].shape[1:]))
