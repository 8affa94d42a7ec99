"""The opposite of entropy selection: the rows with the nearest neighbours."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.neighbours import nearest
from germline.core.pool import Pool
from germline.core.protocols import Extractor


@dataclass(frozen=True)
class Densest:
    """Choose the ``n`` rows whose ``k``-th nearest other row is nearest: a subset of low entropy, for experiments. Ours."""

    n: int
    extractor: Extractor
    k: int = 1

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows, densest first."""
        if not 1 <= self.n <= len(pool):
            raise BadInput(f"Densest was asked for {self.n} of {len(pool)} rows; give an n from 1 to what is on offer.")
        features = ctx.features(self.extractor, pool)
        return np.argsort(nearest(features, features, self.k, exclude_self=True)[1][:, -1], kind="stable")[: self.n]
