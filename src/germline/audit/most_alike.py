"""The vectors most alike to each of many queries, exactly, though most are compared in a few principal axes only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from germline.core.neighbours import growing, slices

AXES, TILE, PIECE = 32, 2048, 8192  # axes of the first comparison; known vectors that are compared at once; that are shortened at once
SLACK, WAIT = 1e-5, 64  # more than float32 rounds a bound; undecided rows a query that wait for each other


class MostAlike:
    """Known vectors of length 1 (or 0), among which those with the largest products with a query are looked for.

    A query has several forms, and its likeness to a known vector is the largest product of any. For a projection P on 32 principal axes
    a.b <= Pa.Pb + |a - Pa| |b - Pb| (Cauchy and Schwarz); only rows whose bound passes the k-th best so far are compared in full.
    """

    def __init__(self, known: Float32[np.ndarray, "n d"]) -> None:
        self._known = known
        moments = np.zeros((known.shape[1],) * 2)
        for part in slices(len(known), PIECE):
            moments += known[part].T.astype(np.float64) @ known[part]
        self._axes = np.linalg.eigh(moments)[1][:, -AXES:].astype(np.float32)
        self._short = np.concatenate([_shortened(known[part], self._axes) for part in slices(len(known), PIECE)])

    def __call__(
        self, queries: Float32[np.ndarray, "q s d"], k: int, without: Int64[np.ndarray, "q w"] | None = None
    ) -> Int64[np.ndarray, "q k"]:
        """Return the k rows most alike to each query, in no order; of ``without``, as many rows as each query shall not find."""
        values, rows = np.full((len(queries), k), -np.inf, np.float32), np.zeros((len(queries), k), np.int64)
        forms = [np.ascontiguousarray(form) for form in np.moveaxis(_shortened(queries, self._axes), 1, 0)]
        bound, other = np.empty((2, len(queries) * TILE), np.float32)
        waiting, count = list[np.ndarray](), 0
        for part in growing(len(self._known), TILE):
            shape, known = (len(queries), part.stop - part.start), self._short[part].T
            most, again = (buffer[: shape[0] * shape[1]].reshape(shape) for buffer in (bound, other))
            np.matmul(forms[0], known, out=most)
            for form in forms[1:]:
                np.maximum(most, np.matmul(form, known, out=again), out=most)
            for left_out in without.T if without is not None else ():
                here = np.flatnonzero((left_out >= part.start) & (left_out < part.stop))
                most[here, left_out[here] - part.start] = -np.inf
            owner, column = np.divmod(np.flatnonzero(most + SLACK > values.min(axis=1)[:, None]), shape[1])
            waiting.append(np.stack([owner, column + part.start]))
            count += len(owner)
            if count >= WAIT * len(queries) or part.stop == len(self._known):
                self._compare(queries, np.concatenate(waiting, axis=1), values, rows)
                waiting, count = [], 0
        return rows

    def _compare(self, queries: np.ndarray, pairs: Int64[np.ndarray, "2 p"], values: np.ndarray, rows: np.ndarray) -> None:
        """Compare queries with known rows in full, and merge what is more alike into ``values`` and ``rows``."""
        owners, numbers = pairs[:, np.argsort(pairs[0], kind="stable")]
        touched, starts = np.unique(owners, return_index=True)
        for owner, here in zip(touched, np.split(numbers, starts[1:]), strict=True):
            alike = (self._known[here] @ queries[owner].T).max(axis=1)
            value, number = np.concatenate([values[owner], alike]), np.concatenate([rows[owner], here])
            best = np.lexsort((number, -value))[: values.shape[1]]
            values[owner], rows[owner] = value[best], number[best]


def _shortened(x: Float32[np.ndarray, "*n d"], axes: Float32[np.ndarray, "d a"]) -> Float32[np.ndarray, "*n e"]:
    """Return vectors in the axes, and as one number more the length of what they leave out."""
    inside = x @ axes
    rest = x - inside @ axes.T
    out: np.ndarray = np.concatenate([inside, np.sqrt(np.einsum("...d,...d->...", rest, rest))[..., None]], axis=-1)
    return out
