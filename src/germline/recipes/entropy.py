"""Entropy-based selection (arXiv 2509.16499): train on the rows of largest nearest-neighbour entropy."""

from functools import partial
from typing import Literal

from germline.core.protocols import Selector
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Classifier
from germline.mixers import Accumulate, Replace
from germline.recipes.setup import EMBEDDED, PAPER_ENTROPY, Setup
from germline.selectors import Farthest, ThresholdDecay


def entropy(
    n: int = 2_000,
    method: Literal["greedy", "threshold-decay"] = "greedy",
    loop: Literal["accumulate", "replace-2n"] = "accumulate",
    tau: float | None = None,
    decay: float = 0.95,
    setup: Setup = EMBEDDED,
) -> Recipe[ClassModel]:
    """Entropy selection: n rows that lie far from each other, of everything so far or of 2n new samples.

    Args:
        n: rows trained on a generation.
        method: Greedy Selection (Algorithm 1) or the Threshold Decay Filter (Algorithm 2).
        loop: what is chosen from: R and all samples so far, or twice n samples of the last generation.
        tau: first threshold of the filter; the largest distance to its first row when not given (ours).
        decay: factor of the threshold.
        setup: network, budget, sampler.
    """
    space = Classifier()
    methods: dict[str, Selector] = {"greedy": Farthest(n, space), "threshold-decay": ThresholdDecay(n, space, tau, decay)}
    return Recipe(
        source="arXiv 2509.16499",
        founder=setup.founder(),
        mixer=Accumulate() if loop == "accumulate" else Replace(),
        selector=methods[method],
        trainer=setup.trainer(),
        sampler=setup.sampler(n if loop == "accumulate" else 2 * n),
    )


embedded = partial(entropy)
# The paper selects in DINOv2 features; the small classifier of the judge split stands in for it here.
paper = partial(entropy, n=32_768, setup=PAPER_ENTROPY)
