"""The control for a selector: a random draw that shares with it whatever is not its idea."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.protocols import Selector


@dataclass(frozen=True)
class Matched:
    """Draw at random as many real and as many made rows of each class as ``selector`` would choose from the same pool.

    An arm that does no better than this one owes its gain to its real share and its label counts, not to what it looked for.
    The counts are what the selector would choose from *this arm's* pool: once the arms' samples differ their real shares may drift apart
    (up to twice the filter's in docs/results/lsf.md), so the first generation after the founder is the fairest comparison. Ours.
    """

    selector: Selector

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return as many rows as the selector chooses, in random order."""
        kinds = np.unique(np.stack([pool.real, np.unique(pool.condition, return_inverse=True)[1]]), axis=1, return_inverse=True)[1]
        counts = np.bincount(kinds[self.selector(pool, ctx)], minlength=kinds.max() + 1)
        rng = ctx.rng("select/matched")
        drawn = [rng.permutation(np.flatnonzero(kinds == kind))[:count] for kind, count in enumerate(counts)]
        return rng.permutation(np.concatenate(drawn))
