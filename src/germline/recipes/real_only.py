"""The control of every comparison: the same start and budget, on real data only."""

from functools import partial

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import RealOnly
from germline.recipes.setup import EMBEDDED, PAPER_ENTROPY, Setup


def real_only(n: int = 2_000, setup: Setup = EMBEDDED) -> Recipe[ClassModel]:
    """Control: T_g = R. Shows what retraining alone does.

    Args:
        n: rows sampled a generation, for measuring.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="control",
        founder=setup.founder(),
        mixer=RealOnly(),
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(real_only)
paper = partial(real_only, n=32_768, setup=PAPER_ENTROPY)
