"""Two selectors, one after the other."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.protocols import Selector


@dataclass(frozen=True)
class Then:
    """Let ``selector`` choose among the rows that ``first`` chose: the 2N most surely right, then the N farthest apart among them. Ours."""

    first: Selector
    selector: Selector

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " m"]:
        """Return the rows that both chose, in the second one's order of choice."""
        rows = self.first(pool, ctx)
        both: np.ndarray = rows[self.selector(pool.take(rows), ctx)]
        return both
