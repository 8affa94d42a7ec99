"""Distances of many rows to a growing set of picks, brought up to date only for the rows one asks about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Int, Int64

from germline.core.errors import BadInput
from germline.core.neighbours import centre, first_copies, slices, squared_distances, squared_norms

Watch = Callable[["NearestPick"], None]
SEGMENT = 256  # picks met at once: rows that fall behind after one segment are spared the next
CHUNK = 4096


class NearestPick:
    """For every row, its squared distance to the nearest of the picks it has met: an upper bound of that to all picks.

    Distances to a growing set only fall, so a row whose bound is too small to matter need not meet the newer picks, perhaps never.
    Float32 from matrix products around a central row: exact for integers, ties included; else up to rounding.
    Of rows with equal bytes only the first in ``order`` may be picked; ``bound`` is -1 for the others and for picks. ``level`` is a number
    of the search that picks, kept with its state.

    Args:
        features: one row each; may be a memory map, it is never copied.
        n: how many picks there will be.
        order: row numbers; the first is picked at once. Rows that are not named follow in ascending order.
        who: the caller's name, for errors.

    Raises:
        BadInput: NaN or infinite features, or fewer than ``n`` rows, or fewer than ``n`` distinct rows.
    """

    def __init__(self, features: Float[np.ndarray, "rows d"], n: int, order: Int[np.ndarray, " o"], who: str) -> None:
        rows, d = features.shape
        if not 1 <= n <= rows:
            raise BadInput(f"{who} must choose between 1 and {rows} rows, as many as are on offer, but was asked for {n}; change n.")
        self._features, self._centre = features, centre(features)
        self._norms = np.empty(rows, np.float32)
        for part in slices(rows, CHUNK):
            self._norms[part] = squared_norms(self._rows(part))
        if not np.isfinite(self._norms).all():
            bad = next(row for row in range(rows) if not np.isfinite(np.square(features[row], dtype=np.float32)).all())
            raise BadInput(f"{who} needs finite features, but row {bad} holds NaN, infinity or numbers beyond 1e19; leave that row out.")
        copy_of = first_copies(features)
        labels, first = np.unique(copy_of[np.concatenate([order, np.arange(rows)])], return_index=True)
        if len(labels) < n:
            raise BadInput(f"{who} was asked for {n} rows, but only {len(labels)} of {rows} are distinct; lower n to {len(labels)}.")
        self.bound = np.full(rows, -1, np.float32)
        self.bound[np.concatenate([order, np.arange(rows)])[first]] = np.inf
        self._met = np.zeros(rows, np.int64)
        self._columns = np.empty((n, d + 1), np.float32)  # [-2p, |p|^2] of each pick p: times [x, 1] it is |x - p|^2 - |x|^2
        self._picks = np.empty(n, np.int64)
        self._squared = np.empty(n, np.float32)
        self._count = 0
        self.level = np.inf
        self._tile = np.empty(0, np.float32)
        self.add(order[:1], np.array([np.inf]))
        for part in slices(rows, CHUNK):
            self.refresh(np.arange(part.start, part.stop))

    def __len__(self) -> int:
        return self._count

    @property
    def picks(self) -> Int64[np.ndarray, " picks"]:
        """The picks so far, in order."""
        return self._picks[: self._count]

    @property
    def missing(self) -> int:
        """How many picks are to come."""
        return len(self._picks) - self._count

    @property
    def squared(self) -> Float32[np.ndarray, " picks"]:
        """The squared distance of each pick to the nearest of those before it; infinite for the first."""
        return self._squared[: self._count]

    def state(self) -> dict[str, np.ndarray]:
        """Return what ``restore`` goes on from: some bytes a row, whatever the features' length."""
        return {
            "picks": self.picks.copy(),
            "squared": self.squared.copy(),
            "bound": self.bound.copy(),
            "met": self._met.copy(),
            "level": np.array(self.level),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state of the same features, number of picks and order, to the same picks as without a stop."""
        self._count = 0
        self.add(state["picks"], state["squared"])
        self.bound[:], self._met[:], self.level = state["bound"], state["met"], float(state["level"])

    def add(self, rows: Int[np.ndarray, " new"], squared: Float[np.ndarray, " new"]) -> None:
        """Pick these rows, in this order, whose squared distances to the nearest pick before each are ``squared``."""
        new = slice(self._count, self._count + len(rows))
        self._squared[new] = squared
        self._picks[new], self._columns[new, :-1], self._columns[new, -1] = rows, -2 * self._rows(rows), self._norms[rows]
        self._count = new.stop
        self.bound[rows] = -1

    def between(self, rows: Int[np.ndarray, " b"]) -> Float32[np.ndarray, "b b"]:
        """Return the squared distances among these rows."""
        x, norms = self._rows(rows), self._norms[rows]
        return squared_distances(x, x, norms, norms)

    def know(self, rows: Int[np.ndarray, " b"], bound: Float32[np.ndarray, " b"]) -> None:
        """Take ``bound`` as the distances of these rows to all picks so far."""
        self.bound[rows], self._met[rows] = bound, self._count

    def refresh(self, rows: Int[np.ndarray, " b"], floor: float = 0.0) -> None:
        """Let these rows meet the picks they missed; a row whose bound falls below ``floor`` meets no further ones."""
        rows = rows[(self._met[rows] < self._count) & (self.bound[rows] >= floor)]
        rows = rows[np.argsort(self._met[rows], kind="stable")]
        x = np.ones((len(rows), self._columns.shape[1]), np.float32)
        x[:, :-1] = self._rows(rows)
        met, norms, bound = self._met[rows], self._norms[rows], self.bound[rows]
        live, joined = np.empty(0, np.int64), 0
        edges = self._segments(met)
        for start, stop in pairwise(edges):
            joining = int(np.searchsorted(met, stop))  # rows that missed a pick of this segment; re-meeting some does no harm
            live, joined = np.concatenate([live, np.arange(joined, joining)]), joining
            distance = np.maximum(self._product(x[live], start, stop).min(axis=1) + norms[live], 0)
            bound[live] = np.minimum(bound[live], distance)
            self._met[rows[live]] = stop
            live = live[bound[live] >= floor]
        self.bound[rows] = bound

    def _segments(self, met: Int64[np.ndarray, " b"]) -> list[int]:
        """Return where to cut the missed picks: at the rows' own counts, but in pieces of about 64 to 256."""
        edges: list[int] = []
        for count in (*np.unique(met).tolist(), self._count):
            if not edges or count == self._count or count - edges[-1] >= SEGMENT // 4:
                gap = count - edges[-1] if edges else 0
                edges += [edges[-1] + gap * piece // (gap // SEGMENT + 1) for piece in range(1, gap // SEGMENT + 1)] + [count]
        return edges

    def _product(self, x: Float32[np.ndarray, "b e"], start: int, stop: int) -> Float32[np.ndarray, "b s"]:
        """Return x times the picks' columns, in a buffer that is used again."""
        size = len(x) * (stop - start)
        if self._tile.size < size:
            self._tile = np.empty(size, np.float32)
        return np.matmul(x, self._columns[start:stop].T, out=self._tile[:size].reshape(len(x), stop - start))

    def _rows(self, rows: slice | Int[np.ndarray, " b"]) -> Float32[np.ndarray, "b d"]:
        centred: np.ndarray = np.asarray(self._features[rows], np.float32) - self._centre
        return centred


def unwatched(chosen: NearestPick) -> None:
    """Do nothing: what a search calls after every step when nobody watches it."""
