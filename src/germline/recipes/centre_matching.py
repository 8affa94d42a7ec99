"""Rows whose mean is that of real data (herding, arXiv 1203.3472; its use in the loop is ours)."""

from functools import partial

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Classifier
from germline.mixers import Accumulate
from germline.recipes.setup import EMBEDDED, Setup
from germline.selectors import CentreMatching


def centre_matching(n: int = 2_000, per_class: bool = True, setup: Setup = EMBEDDED) -> Recipe[ClassModel]:
    """Centre matching: n rows of R + S_0 + ... + S_{g-1} whose mean in the classifier's features is that of R.

    Args:
        n: rows sampled, and trained on, a generation.
        per_class: match each class apart, with equal counts.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="after arXiv 1203.3472",
        founder=setup.founder(),
        mixer=Accumulate(),
        selector=CentreMatching(n, Classifier(), per_class),
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(centre_matching)
