"""The samples of generation 0, again and again."""

from dataclasses import dataclass

from germline.core.context import Context
from germline.core.pool import Pool


@dataclass(frozen=True)
class First:
    """Offer S_0 to every generation: what plain fine-tuning on a model's own images sees, spread over generations.

    Source: the baseline SFT of arXiv 2502.09963, which trains once on images that the base model made; spreading it is ours.
    """

    def __call__(self, ctx: Context) -> Pool:
        """Return the samples of generation 0."""
        return ctx.samples(0)
