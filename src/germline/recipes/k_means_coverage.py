"""Equal counts of every k-means cluster of everything so far (after arXiv 2405.15613; its use in the loop is ours)."""

from functools import partial
from typing import Literal

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Classifier
from germline.mixers import Accumulate
from germline.recipes.setup import EMBEDDED, Setup
from germline.selectors import KMeansCoverage


def k_means_coverage(
    n: int = 2_000, clusters: int = 100, take: Literal["random", "nearest"] = "random", setup: Setup = EMBEDDED
) -> Recipe[ClassModel]:
    """k-means coverage: n rows of R + S_0 + ... + S_{g-1}, as many from each cluster of the classifier's features.

    Args:
        n: rows sampled, and trained on, a generation.
        clusters: clusters of the whole offer.
        take: a random draw within each cluster, or its rows nearest to the centre.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="after arXiv 2405.15613",
        founder=setup.founder(),
        mixer=Accumulate(),
        selector=KMeansCoverage(n, Classifier(), clusters, take),
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(k_means_coverage)
