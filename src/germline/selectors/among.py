"""A selector that sees only some of the rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Selector


@dataclass(frozen=True)
class Among:
    """Let ``selector`` choose among the rows of some generations only; all other rows are kept, in front.

    ``generations`` is "made", "real", or generation numbers.
    """

    selector: Selector
    generations: Literal["made", "real"] | tuple[int, ...] = "made"

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " m"]:
        """Return the rows outside in ascending order, then the chosen rows in order of choice."""
        if isinstance(self.generations, str):
            inside = pool.real if self.generations == "real" else ~pool.real
        else:
            inside = np.isin(pool.generation, self.generations)
        rows = np.flatnonzero(inside)
        if not len(rows):
            have = ", ".join(map(str, np.unique(pool.generation)))
            raise BadInput(f"Among found no rows of {self.generations!r}; the pool has generations {have} (-1 is real).")
        return np.concatenate([np.flatnonzero(~inside), rows[self.selector(pool.take(rows), ctx)]])
