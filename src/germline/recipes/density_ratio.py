"""Made rows weighed by how much more likely real ones are there (importance weights, arXiv 1906.09531; in the loop ours)."""

from functools import partial
from typing import Literal

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Classifier
from germline.mixers import Accumulate, Replace
from germline.recipes.setup import EMBEDDED, Setup
from germline.selectors import Uniform
from germline.weighters import DensityRatio


def density_ratio(
    n: int = 2_000, largest: float = 3.0, loop: Literal["accumulate", "replace"] = "accumulate", setup: Setup = EMBEDDED
) -> Recipe[ClassModel]:
    """Density ratio: the loss of a made row is weighed by p_real / p_made in the classifier's features; real rows weigh 1.

    Args:
        n: rows sampled, and trained on, a generation.
        largest: log-weight, up and down; beyond it is cut.
        loop: train on n rows of R + S_0 + ... + S_{g-1}, or on S_{g-1}.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="after arXiv 1906.09531",
        founder=setup.founder(),
        mixer=Accumulate() if loop == "accumulate" else Replace(),
        weighters=(DensityRatio(Classifier(), largest),),
        selector=Uniform(n) if loop == "accumulate" else None,
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(density_ratio)
