"""Everything so far: real data and the samples of every generation."""

from dataclasses import dataclass

from germline.core.context import Context
from germline.core.pool import Pool


@dataclass(frozen=True)
class Accumulate:
    """Offer R + S_0 + ... + S_{g-1}, the whole history: a row that was not chosen once may be chosen later.

    Alone it is the growing set (ACU, arXiv 2404.01413); with a selector behind it, the bounded ones.
    """

    def __call__(self, ctx: Context) -> Pool:
        """Return R and the samples of all earlier generations, in that order."""
        return Pool.concat([ctx.data.real, *(ctx.samples(g) for g in range(ctx.generation))])
