"""The self-consuming loop in its purest form."""

from dataclasses import dataclass

from germline.core.context import Context
from germline.core.pool import Pool


@dataclass(frozen=True)
class Replace:
    """Offer S_{g-1} only: no real row is ever seen again.

    Source: "fully synthetic loop", arXiv 2307.01850; SYN in arXiv 2511.12742.
    """

    def __call__(self, ctx: Context) -> Pool:
        """Return the samples of the last generation."""
        return ctx.samples(ctx.generation - 1)
