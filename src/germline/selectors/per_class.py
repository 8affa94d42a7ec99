"""A selector that is let loose on one class at a time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.protocols import Selector


@dataclass(frozen=True)
class PerClass:
    """Let ``selector`` choose within each class or prompt apart, so that its n is a number a class and label counts stay equal."""

    selector: Selector

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " m"]:
        """Return the rows chosen in each class, class after class, in order of choice."""
        chosen = []
        for label in np.unique(pool.condition):
            rows = np.flatnonzero(pool.condition == label)
            chosen.append(rows[self.selector(pool.take(rows), ctx)])
        return np.concatenate(chosen)
