"""Keep everything: real data and the samples of all generations (arXiv 2404.01413)."""

from functools import partial

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import Accumulate
from germline.recipes.setup import EMBEDDED, PAPER_ENTROPY, Setup


def accumulate(n: int = 2_000, setup: Setup = EMBEDDED) -> Recipe[ClassModel]:
    """Accumulate: T_g = R + S_0 + ... + S_{g-1}, at the image budget of every other arm.

    Args:
        n: rows sampled a generation.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="arXiv 2404.01413",
        founder=setup.founder(),
        mixer=Accumulate(),
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(accumulate)
# Its own settings are not known to us; these are those of arXiv 2509.16499, which compares with a bounded variant.
paper = partial(accumulate, n=32_768, setup=PAPER_ENTROPY)
