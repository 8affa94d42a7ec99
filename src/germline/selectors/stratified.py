"""Equal counts of every generation of origin."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import GIVEN, REAL, Pool


@dataclass(frozen=True)
class Stratified:
    """Choose ``n`` rows, as many from each source: n div sources, the remainder one each in the order R, S_0, S_1, ...

    The "accumulate" of the figures in arXiv 2509.16499, but with exactly ``n`` rows: the released code takes up to one a source more.
    """

    n: int

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows, in random order source by source."""
        if self.n < 1:
            raise BadInput(f"Stratified was asked for {self.n} rows; give an n of at least 1.")
        generations = np.unique(pool.generation)
        chosen = []
        for place, generation in enumerate(generations):
            rows = np.flatnonzero(pool.generation == generation)
            quota = self.n // len(generations) + (place < self.n % len(generations))
            if len(rows) < quota:
                source = {REAL: "the real data", GIVEN: "the given pool"}.get(int(generation), f"generation {generation}")
                raise BadInput(
                    f"Stratified needs {quota} rows of each source for n = {self.n}, but {source} offers {len(rows)};"
                    " lower n or let the sampler make more."
                )
            chosen.append(ctx.rng("select/stratified", place).permutation(rows)[:quota])
        return np.concatenate(chosen)
