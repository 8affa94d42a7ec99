"""A uniform draw: the control that every selector has to beat."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


@dataclass(frozen=True)
class Uniform:
    """Choose ``n`` rows, each with the same chance, without repeats.

    Behind ``Accumulate`` it is accumulate-subsample (arXiv 2410.16713).
    """

    n: int

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows in random order."""
        if not 1 <= self.n <= len(pool):
            raise BadInput(f"Uniform was asked for {self.n} of {len(pool)} rows; give an n from 1 to what is on offer.")
        return ctx.rng("select/uniform").permutation(len(pool))[: self.n]
