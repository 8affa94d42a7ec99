"""The features of a pool's usable rows as one array that is never in memory: one memory-mapped file a shard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from germline.core.errors import BadInput


class Stacked:
    """Rows of several arrays, one after the other, read when asked for: ``stacked[rows]`` is (rows, d) float32.

    Args:
        arrays: (n_i, d) floats, memory maps mostly.
        kept: for each array its rows that count, ascending.
        names: of the arrays, for errors.

    Raises:
        BadInput: no row counts, or two arrays differ in width.
    """

    def __init__(self, arrays: Sequence[np.ndarray], kept: Sequence[Int64[np.ndarray, " n"]], names: Sequence[str]) -> None:
        used = [number for number, rows in enumerate(kept) if len(rows)]
        if not used:
            raise BadInput("The pool has no row that can be used; skipped.parquet says why.")
        self._arrays, self._kept = [arrays[number] for number in used], [kept[number] for number in used]
        self._starts = np.cumsum([0, *(len(rows) for rows in self._kept)])
        first, odd = self._arrays[0], [number for number in used if arrays[number].shape[1] != arrays[used[0]].shape[1]]
        if odd:
            raise BadInput(
                f"{names[used[0]]} has {first.shape[1]} features a row, but {names[odd[0]]} has {arrays[odd[0]].shape[1]};"
                " bring all images to one size (--size 64, say), or choose from one kind of pool at a time."
            )
        self.shape, self.dtype = (int(self._starts[-1]), int(first.shape[1])), np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> Float32[np.ndarray, "... d"]:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        asked = np.asarray(rows, np.int64)
        flat = asked.reshape(-1)
        out = np.empty((len(flat), self.shape[1]), np.float32)
        owner = np.searchsorted(self._starts, flat, "right") - 1
        order = np.argsort(owner, kind="stable")
        edges = np.searchsorted(owner[order], np.arange(len(self._arrays) + 1))
        for number in np.flatnonzero(np.diff(edges)):
            here = order[edges[number] : edges[number + 1]]
            inside = self._kept[number][flat[here] - self._starts[number]]
            if len(inside) and inside[-1] - inside[0] == len(inside) - 1 and (np.diff(inside) == 1).all():
                out[here] = self._arrays[number][inside[0] : inside[-1] + 1]
            else:
                out[here] = self._arrays[number][inside]
        found: np.ndarray = out.reshape(*asked.shape, self.shape[1])
        return found


class Part:
    """Some rows of features, by number, read when asked for."""

    def __init__(self, features: Stacked | Part, rows: Int64[np.ndarray, " n"]) -> None:
        self._features, self._rows = features, rows
        self.shape: tuple[int, int] = (len(rows), features.shape[1])
        self.dtype: np.dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: int | slice | np.ndarray) -> Float32[np.ndarray, "... d"]:
        return self._features[self._rows[rows]]
