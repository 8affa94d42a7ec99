"""Votes decide where there are votes, a selector where there are none."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.pool import GIVEN, Pool
from germline.core.protocols import Selector


@dataclass(frozen=True)
class Voted:
    """Let ``votes`` choose in the generation whose offer the user gave (origin -3), and ``selector`` in all others. Ours.

    Scores of the two are not compared: people voted on their own images, and on no others.
    """

    votes: Selector
    selector: Selector

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " m"]:
        """Return the rows that one of the two chose."""
        chooses = self.votes if len(pool) and (pool.generation == GIVEN).all() else self.selector
        chosen: np.ndarray = np.asarray(chooses(pool, ctx), np.int64)
        return chosen
