"""Real data, with samples of the last generation beside it."""

from dataclasses import dataclass

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


@dataclass(frozen=True)
class Augment:
    """Offer R + floor(``ratio`` * |R|) rows of S_{g-1}, drawn without repeats; the real share is 1 / (1 + ratio).

    Source: arXiv 2310.00429, where the ratio is called lambda.

    Raises:
        BadInput: the sampler makes fewer rows than the ratio asks for.
    """

    ratio: float = 1.0

    def __call__(self, ctx: Context) -> Pool:
        """Return R and the drawn rows."""
        made = ctx.samples(ctx.generation - 1)
        wanted = int(self.ratio * len(ctx.data.real))
        if not 0 <= wanted <= len(made):
            raise BadInput(
                f"Augment(ratio={self.ratio}) needs {wanted} made rows, but a generation has {len(made)}; sample more or lower the ratio."
            )
        drawn = ctx.rng("augment").permutation(len(made))[:wanted]
        return Pool.concat([ctx.data.real, made.take(drawn)])
