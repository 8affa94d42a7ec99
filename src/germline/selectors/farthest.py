"""Greedy Selection: each pick is the row farthest from all picks before it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from germline.core.context import Context
from germline.core.nearest_pick import NearestPick, Watch, unwatched
from germline.core.pool import Pool
from germline.core.protocols import Extractor

CANDIDATES, BLOCK = 4096, 2048


@dataclass(frozen=True)
class Farthest:
    """Choose ``n`` rows that are far from one another in the extractor's features, from a random first row on.

    It raises the entropy of the training set, by taking outliers first: watch coverage and variance too.

    Source: arXiv 2509.16499, Algorithm 1 (Greedy Selection).
    """

    n: int
    extractor: Extractor

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows in order of choice."""
        start = int(ctx.rng("select/farthest").integers(len(pool)))
        return farthest(ctx.features(self.extractor, pool), self.n, start)


def farthest(
    features: Float[np.ndarray, "rows d"], n: int, start: int, watch: Watch = unwatched, state: Mapping[str, np.ndarray] | None = None
) -> Int64[np.ndarray, " n"]:
    """Return ``n`` row numbers: ``start``, then always the row with the largest min_{picks p} |x - p|, the lowest row on ties.

    Exact up to ties in float32, and exact for integer features. Picks are decided by the hundred inside a block: only the rows
    with the largest bounds meet the picks they missed, by matrix products, and the largest bound outside the block says when the
    block has no more to say. ``features`` may be a memory map and is not copied.

    ``watch`` is called after every block of picks; the ``state()`` of what it is given, handed back, goes on from there to the same picks.

    Raises:
        BadInput: ``n`` exceeds the rows or the distinct rows, or features are not finite.
    """
    chosen = NearestPick(features, n, np.array([start]), "Farthest")
    if state is not None:
        chosen.restore(state)
    while chosen.missing:
        rows, floor, rival = _largest(chosen.bound, np.arange(len(features)), CANDIDATES, (-1.0, len(features)))
        chosen.refresh(rows, floor)
        rows = rows[chosen.bound[rows] >= floor]
        rows, floor, rival = _largest(chosen.bound[rows], rows, BLOCK, (floor, rival))
        if len(rows):
            bound = chosen.bound[rows]
            new, squared = _decided(bound, chosen.between(rows), rows, floor, rival, chosen.missing)
            chosen.add(rows[new], squared)
            chosen.know(rows, bound)
        watch(chosen)
    return chosen.picks


def _decided(
    bound: Float[np.ndarray, " b"], distance: Float[np.ndarray, "b b"], rows: Int64[np.ndarray, " b"], floor: float, rival: int, most: int
) -> tuple[list[int], Float[np.ndarray, " new"]]:
    """Return the picks that no row outside the block can contest and their squared distances to those before, and lower ``bound`` in place.

    Outside, bounds are at most ``floor``, and ``rival`` is the lowest row there that may reach it. Without the tie clause the order,
    and often the set, changes on integer features.
    """
    new: list[int] = []
    squared: list[float] = []
    while len(new) < most:
        best = int(bound.argmax())
        if bound[best] < floor or (bound[best] == floor and rows[best] > rival) or bound[best] < 0:
            break
        new.append(best)
        squared.append(float(bound[best]))
        np.minimum(bound, distance[best], out=bound)
        bound[best] = -1
    return new, np.array(squared)


def _largest(
    values: Float[np.ndarray, " n"], rows: Int64[np.ndarray, " n"], size: int, outside: tuple[float, int]
) -> tuple[Int64[np.ndarray, " b"], float, int]:
    """Return the ``size`` rows of largest value (ties: lowest), ascending, and what is left: largest value, lowest row that has it.

    ``outside`` is what the left are bounded by already; with ``size`` rows or fewer it stays.
    """
    if len(values) <= size:
        return rows, *outside
    least = np.partition(values, len(values) - size)[len(values) - size]
    above, tied = np.flatnonzero(values > least), np.flatnonzero(values == least)
    room = size - len(above)
    rival = int(rows[tied[room]]) if room < len(tied) else int(rows[-1]) + 1
    if least == outside[0]:
        rival = min(rival, outside[1])
    return rows[np.sort(np.concatenate([above, tied[:room]]))], float(least), rival
