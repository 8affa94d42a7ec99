"""A uniform draw with a given share of real rows: the control for selectors that happen to prefer real rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


@dataclass(frozen=True)
class RealShare:
    """Choose ``n`` rows at random, round(``share`` * n) of them real.

    If a selector does no better than this with the share it ended at, its gain is "more real rows".
    """

    n: int
    share: float

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows in random order."""
        if not 0 <= self.share <= 1 or self.n < 1:
            raise BadInput(f"RealShare needs a share from 0 to 1 and n >= 1, but got share {self.share}, n {self.n}.")
        rng = ctx.rng("select/real_share")
        chosen = []
        for kind, rows, count in (
            ("real", np.flatnonzero(pool.real), round(self.share * self.n)),
            ("made", np.flatnonzero(~pool.real), self.n - round(self.share * self.n)),
        ):
            if len(rows) < count:
                raise BadInput(
                    f"RealShare needs {count} {kind} rows for n = {self.n} and share {self.share}, but {len(rows)} are on offer;"
                    " lower n or change the share."
                )
            chosen.append(rng.permutation(rows)[:count])
        return rng.permutation(np.concatenate(chosen))
