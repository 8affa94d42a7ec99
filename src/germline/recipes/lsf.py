"""Latent-space filtering: train on the rows whose own label a linear probe sees most surely (arXiv 2511.12742)."""

from functools import partial
from typing import Literal

from germline.core.protocols import Selector
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Bottleneck, Classifier
from germline.mixers import Accumulate, Replace
from germline.recipes.setup import EMBEDDED, PAPER_LSF, Setup
from germline.scorers import Confidence
from germline.selectors import Farthest, Then, Top

# tan(pi/2 (t/1000 + .008) / 1.008), the noise of the cosine schedule at t = 50, 100, 200, 400, 600, 800: which t is the paper's is unknown.
SIGMAS = (0.09, 0.17, 0.34, 0.74, 1.4, 3.1)


def lsf(
    n: int = 2_000,
    loop: Literal["accumulate", "replace"] = "accumulate",
    fit_on: Literal["real", "judge", "random"] = "real",
    per_class: bool = False,
    farthest: bool = False,
    pooled: bool = False,
    clusters: int | None = None,
    times: int = 2,
    setup: Setup = EMBEDDED,
) -> Recipe[ClassModel]:
    """Latent-space filtering: the n rows, real ones too, that a probe on generation 0's latents puts most surely into their own class.

    Args:
        n: rows trained on a generation.
        loop: choose from R and all samples so far (ACU-LSF), or from ``times`` n samples of the last generation (SYN-LSF).
        fit_on: fit the probe on R, as the paper does; on as many rows that are never on offer; or not at all (random weights).
        per_class: give every class the same number (ours); of them, ``farthest`` chooses without regard to class.
        farthest: keep the 1.5 n most sure rows, and of these the n that lie far from each other (ours).
        pooled: mean latents over space before the probe.
        clusters: k-means pseudo-labels in place of labels.
        times: rows sampled for each row kept, in SYN-LSF.
        setup: network, budget, sampler.
    """
    probe = Confidence(tuple(Bottleneck(sigma, pooled) for sigma in SIGMAS), fit_on, clusters)
    surest: Selector = Top(3 * n // 2 if farthest else n, probe.name, per_class)
    return Recipe(
        source="arXiv 2511.12742",
        founder=setup.founder(),
        mixer=Accumulate() if loop == "accumulate" else Replace(),
        scorers=(probe,),
        selector=Then(surest, Farthest(n, Classifier())) if farthest else surest,
        trainer=setup.trainer(),
        sampler=setup.sampler(n if loop == "accumulate" else times * n),
    )


embedded = partial(lsf)
paper = partial(lsf, n=1_000, setup=PAPER_LSF)
