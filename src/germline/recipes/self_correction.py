"""Samples corrected towards real cluster centres (arXiv 2402.07087; ACUR-SC of arXiv 2511.12742)."""

from functools import partial
from typing import Literal

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import Accumulate, Augment
from germline.recipes.setup import EMBEDDED, PAPER_LSF, Setup
from germline.samplers import SelfCorrected
from germline.selectors import Uniform


def self_correction(
    n: int = 2_000,
    gamma: float = 0.5,
    centres: int = 16,
    loop: Literal["accumulate", "augment"] = "accumulate",
    setup: Setup = EMBEDDED,
) -> Recipe[ClassModel]:
    """Self-correction: every sample moves towards the nearest k-means centre of the real images of its class.

    Args:
        n: rows sampled a generation.
        gamma: how far, 0 (not at all) to 1 (onto the centre). Ours: the paper's gamma, 0 to infinity, blends distributions.
        centres: centres a class.
        loop: train on n rows of R + S_0 + ... + S_{g-1} (ACUR-SC), or on R + S_{g-1} (augmentation, the paper's loop).
        setup: network, budget, sampler.
    """
    return Recipe(
        source="arXiv 2511.12742, ACUR-SC" if loop == "accumulate" else "arXiv 2402.07087",
        founder=setup.founder(),
        mixer=Accumulate() if loop == "accumulate" else Augment(),
        selector=Uniform(n) if loop == "accumulate" else None,
        trainer=setup.trainer(),
        sampler=SelfCorrected(setup.sampler(n), gamma, centres),
    )


embedded = partial(self_correction)
# The arm of arXiv 2511.12742: 16 centres a digit on MNIST; the strength is not known to us.
paper = partial(self_correction, n=1_000, setup=PAPER_LSF)
