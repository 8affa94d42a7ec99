"""The loop that collapses: every generation is trained on the last one's samples only (arXiv 2307.01850, 2509.16499)."""

from functools import partial

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import Replace
from germline.recipes.setup import EMBEDDED, PAPER_ENTROPY, Setup


def replace(n: int = 2_000, setup: Setup = EMBEDDED) -> Recipe[ClassModel]:
    """Replace: T_g = S_{g-1}, no real row after generation 0.

    Args:
        n: rows sampled, and trained on, a generation.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="arXiv 2307.01850, fully synthetic loop",
        founder=setup.founder(),
        mixer=Replace(),
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(replace)
paper = partial(replace, n=32_768, setup=PAPER_ENTROPY)
