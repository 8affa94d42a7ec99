"""Negative guidance by a self-trained copy (SIMS, arXiv 2408.16333; ACUR-SIMS of arXiv 2511.12742)."""

from dataclasses import replace
from functools import partial
from typing import Literal

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import Accumulate, Replace
from germline.recipes.setup import EMBEDDED, PAPER_LSF, Setup
from germline.selectors import Uniform
from germline.trainers import SIMS


def sims(n: int = 2_000, w: float = 0.5, loop: Literal["self", "accumulate"] = "self", setup: Setup = EMBEDDED) -> Recipe[ClassModel]:
    """SIMS: sample with (1 + w) s_good - w s_bad, the bad model a copy trained on the good one's samples.

    Args:
        n: rows sampled a generation, at twice the evaluations.
        w: the paper's omega; 0 is the good model alone. Beside it, guidance counts from 1: w = 0.5 is a guidance scale of 1.5.
        loop: "self" keeps generation 0 as the good model; generation 1 is the paper's. "accumulate" trains the good model on n rows of
            R + S_0 + ... + S_{g-1} (ACUR-SIMS) and spends half of the images on each of the two.
        setup: network, budget, sampler.
    """
    tune = setup.trainer()
    half = replace(tune, images=max(1, tune.images // 2))
    alone = loop == "self"
    return Recipe(
        source="arXiv 2408.16333" if alone else "arXiv 2511.12742, ACUR-SIMS",
        founder=setup.founder(),
        mixer=Replace() if alone else Accumulate(),
        selector=None if alone else Uniform(n),
        # The chain holds one founder and then pairs, which one type parameter cannot say.
        trainer=SIMS(tune, w) if alone else SIMS(half, w, base=half),  # type: ignore[arg-type]
        sampler=setup.sampler(n),
    )


embedded = partial(sims)
# SIMS's own w and budgets are not known to us; this is the arm of arXiv 2511.12742, whose w is not known either.
paper = partial(sims, n=1_000, loop="accumulate", setup=PAPER_LSF)
