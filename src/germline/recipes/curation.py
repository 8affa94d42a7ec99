"""Training on what was preferred among several samples (arXiv 2407.09499)."""

from functools import partial
from typing import Literal

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Classifier
from germline.mixers import Augment, Replace
from germline.recipes.setup import EMBEDDED, Setup
from germline.scorers import Agreement
from germline.selectors import Among, BestOf


def curation(
    n: int = 2_000,
    k: int = 2,
    temperature: float = 1.0,
    loop: Literal["replace", "augment"] = "replace",
    setup: Setup = EMBEDDED,
) -> Recipe[ClassModel]:
    """Curation: of every k samples of a class one is kept, with probability softmax(score), the score log p(class | image).

    Args:
        n: samples kept a generation; k times as many are drawn.
        k: samples that compete; 2 is a Bradley-Terry pair. The paper's experiments use others, not known to us.
        temperature: of the choice; 1 is the paper's, 0 keeps the best.
        loop: train on the kept samples only, or on R beside them.
        setup: network, budget, sampler.
    """
    # A third classifier: the first two measure distances and agreement, and what is selected for stops being a measure.
    kept = BestOf(n, Agreement.name, k, temperature)
    return Recipe(
        source="arXiv 2407.09499",
        founder=setup.founder(),
        mixer=Replace() if loop == "replace" else Augment(float(k)),
        scorers=(Agreement(Classifier(seed=2)),),
        selector=kept if loop == "replace" else Among(kept, "made"),
        trainer=setup.trainer(),
        sampler=setup.sampler(k * n),
    )


embedded = partial(curation)
