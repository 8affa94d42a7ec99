"""Samples of the last generation, with a share of fresh real rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


@dataclass(frozen=True)
class Fresh:
    """Offer |R| rows: round(``real_share`` * |R|) real ones, the rest from S_{g-1}, all drawn without repeats.

    ``draw`` "reserve" takes rows that no generation has used; "again" draws anew from R, which adds no information.
    The share is SYN-ADD's in arXiv 2511.12742 (0.3 there); which of the two draws it uses is unknown, the default is ours.

    Raises:
        BadInput: the reserve is used up.
    """

    real_share: float = 0.3
    draw: Literal["reserve", "again"] = "reserve"

    def __call__(self, ctx: Context) -> Pool:
        """Return the real rows, then the made ones."""
        if not 0 <= self.real_share <= 1:
            raise BadInput(f"Fresh(real_share={self.real_share}) must be between 0 and 1.")
        n = len(ctx.data.real)
        real = self._real(ctx, round(self.real_share * n))
        made = ctx.samples(ctx.generation - 1)
        if n - len(real) > len(made):
            raise BadInput(f"Fresh needs {n - len(real)} made rows, but a generation has {len(made)}; let the sampler make more.")
        return Pool.concat([real, made.take(ctx.rng("fresh-made").permutation(len(made))[: n - len(real)])])

    def _real(self, ctx: Context, n: int) -> Pool:
        if self.draw == "again":
            return ctx.data.real.take(ctx.rng("fresh-real").permutation(len(ctx.data.real))[:n])
        start = (ctx.generation - 1) * n
        if start + n > len(ctx.data.reserve):
            raise BadInput(
                f"Fresh needs rows {start} to {start + n - 1} of a reserve of {len(ctx.data.reserve)} in generation {ctx.generation}."
                " Give a smaller real share, fewer generations, a data set with a larger reserve, or draw='again'."
            )
        return ctx.data.reserve.take(np.arange(start, start + n))
