"""Threshold Decay Filter: rows farther than tau from all accepted ones, with a tau that shrinks until there are enough."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.nearest_pick import NearestPick, Watch, unwatched
from germline.core.pool import Pool
from germline.core.protocols import Extractor

BLOCK = 256


@dataclass(frozen=True)
class ThresholdDecay:
    """Choose ``n`` rows in random order, each farther than ``tau`` from all chosen before; ``tau`` shrinks by ``decay`` a pass.

    ``decay`` towards 1 tends to ``Farthest``, towards 0 to a uniform draw. ``tau`` is in units of the extractor; None is the largest
    distance to the first row.

    Source: arXiv 2509.16499, Algorithm 2 (Threshold Decay Filter); decay 0.95 is the released code's for replacing.
    """

    n: int
    extractor: Extractor
    tau: float | None = None
    decay: float = 0.95

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows in order of choice."""
        order = ctx.rng("select/threshold_decay").permutation(len(pool))
        return threshold_decay(ctx.features(self.extractor, pool), order, self.n, self.tau, self.decay)


def threshold_decay(
    features: Float[np.ndarray, "rows d"],
    order: Int64[np.ndarray, " rows"],
    n: int,
    tau: float | None = None,
    decay: float = 0.95,
    watch: Watch = unwatched,
    state: Mapping[str, np.ndarray] | None = None,
) -> Int64[np.ndarray, " n"]:
    """Return ``n`` row numbers: order[0], then pass after pass every row of ``order`` with min_{accepted a} |x - a| > tau.

    An accepted row counts at once, and tau becomes tau * decay after each pass; the same rows in the same order as with a decay
    after fruitless passes only, since a rejected row stays within tau of an accepted one.

    ``watch`` is called after every block of rows; the ``state()`` of what it is given, handed back, goes on from there to the same rows.

    Raises:
        BadInput: ``n`` exceeds the rows or the distinct rows, features are not finite, tau <= 0, or decay outside (0, 1).
    """
    if tau is not None and not tau > 0:
        raise BadInput(f"ThresholdDecay needs a tau above 0, a distance in its features, but got {tau}; leave it out to have it measured.")
    if not 0 < decay < 1:
        raise BadInput(f"ThresholdDecay needs a decay between 0 and 1, both excluded, but got {decay}; the paper's is 0.95.")
    accepted = NearestPick(features, n, order, "ThresholdDecay")
    squared = float(accepted.bound.max()) if tau is None else tau**2
    if state is not None:
        accepted.restore(state)
        squared = accepted.level
    while accepted.missing:
        left = float(accepted.bound.max())
        while np.float32(squared) >= left > 0:  # in the precision of the bounds, or a tau just below the last one waits for ever
            squared *= decay**2
        accepted.level = squared
        floor = squared if left > 0 else -0.5  # float32 cannot tell the rest apart: take it in order
        waiting = order[accepted.bound[order] > floor]
        for start in range(0, len(waiting), BLOCK):
            block = waiting[start : start + BLOCK]
            accepted.refresh(block, floor)
            block = block[accepted.bound[block] > floor]
            if len(block):
                bound = accepted.bound[block]
                new, reach = _scan(bound, accepted.between(block), floor, accepted.missing)
                accepted.add(block[new], reach)
                accepted.know(block, bound)
            watch(accepted)
            if not accepted.missing:
                break
    return accepted.picks


def _scan(
    bound: Float[np.ndarray, " b"], distance: Float[np.ndarray, "b b"], floor: float, most: int
) -> tuple[list[int], Float[np.ndarray, " new"]]:
    """Return the rows of the block that one pass in sequence accepts and their squared distances to those before; lower ``bound``."""
    new: list[int] = []
    squared: list[float] = []
    while len(new) < most:
        row = int((bound > floor).argmax())
        if not bound[row] > floor:
            break
        new.append(row)
        squared.append(float(bound[row]))
        np.minimum(bound, distance[row], out=bound)
        bound[row] = -1
    return new, np.array(squared)
