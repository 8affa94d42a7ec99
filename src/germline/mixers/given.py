"""The user's own images in the place of the first round's samples."""

from dataclasses import dataclass

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Mixer


@dataclass(frozen=True)
class Given:
    """Offer the images that the user gave to generation 1, with their ratings as a column, and to later ones what ``mixer`` offers.

    Their origin is -3: no generation made them, and no split holds them. Which images they are is part of the data set, so a run
    knows them by their content.

    Source: ours; a first round of collected images in the place of D_0 in Algorithm 1 of arXiv 2502.09963.

    Raises:
        BadInput: nothing was given.
    """

    mixer: Mixer

    def __call__(self, ctx: Context) -> Pool:
        """Return the rows on offer."""
        if ctx.generation > 1:
            return self.mixer(ctx)
        if ctx.data.given is None:
            raise BadInput("Given offers the user's own images to generation 1, but there are none: give them with --pool.")
        return ctx.data.given
