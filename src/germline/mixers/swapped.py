"""Samples of the last generation, some of them swapped for the real row that they were made in the place of."""

from dataclasses import dataclass

import numpy as np

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


@dataclass(frozen=True)
class Swapped:
    """Offer S_{g-1}, each row swapped with probability ``share`` for the real row whose condition it was made for.

    Row i stands in the place of real row floor(i / ``images_a_prompt``) mod |R|, and the order of rows is kept; 0 is ``Replace``. Where
    several samples were made for one real row, that row may be on offer more than once. Metrics see the samples as they were made.

    Source: ours (the share rho in our reading of the Chain of Diffusion, arXiv 2407.17493, which sees no real image after generation 0).

    Raises:
        BadInput: a share outside [0, 1], or samples that were made for other conditions than those of the real rows in their places.
    """

    share: float = 0.1
    images_a_prompt: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.images_a_prompt < 1:
            raise BadInput(
                f"Swapped needs a share from 0 to 1 and 1 image a prompt or more, but got {self.share} and {self.images_a_prompt}."
            )

    def __call__(self, ctx: Context) -> Pool:
        """Return one row in the place of every sample."""
        made, real = ctx.samples(ctx.generation - 1), ctx.data.real
        places = np.arange(len(made)) // self.images_a_prompt % len(real)
        swap = ctx.rng("swapped").random(len(made)) < self.share
        if (bad := np.flatnonzero(swap & (made.condition != real.condition[places]))).size:
            row = int(bad[0])
            theirs, its = real.condition[places[row]].item(), made.condition[row].item()
            raise BadInput(
                f"Swapped would put real row {places[row]} ({theirs!r}) in the place of a sample of {its!r}: let the sampler draw the"
                f" conditions of the real rows, {self.images_a_prompt} image(s) each."
            )
        both = Pool.concat([made, real.take(places)])
        return both.take(np.arange(len(made)) + len(made) * swap)
