"""A share of fresh real rows in every generation (SYN-ADD of arXiv 2511.12742; fresh data loop of arXiv 2307.01850)."""

from functools import partial
from typing import Literal

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import Fresh
from germline.recipes.setup import EMBEDDED, PAPER_LSF, Setup


def fresh(
    n: int = 2_000,
    real_share: float = 0.3,
    draw: Literal["reserve", "again"] = "reserve",
    setup: Setup = EMBEDDED,
) -> Recipe[ClassModel]:
    """Fresh data: a share of real rows, the rest from S_{g-1}; |R| rows in all.

    Args:
        n: rows sampled a generation.
        real_share: share of real rows in T_g.
        draw: rows never used before, or R drawn anew, which adds no information.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="arXiv 2511.12742, SYN-ADD",
        founder=setup.founder(),
        mixer=Fresh(real_share, draw),
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(fresh)
paper = partial(fresh, n=1_000, setup=PAPER_LSF)
