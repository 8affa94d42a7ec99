"""The loops that latent-space filtering is compared with, at one budget of training images (docs/results/rivals.md).

All arms of a seed share generation 0's model. An arm trains on the same number of images a generation; what else it costs differs
and is stated: SIMS samples at twice the evaluations, curation draws twice the rows, fresh data use new real rows.
"""

from collections.abc import Iterator
from dataclasses import replace as changed

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.accumulate import accumulate
from germline.recipes.accumulate_subsample import accumulate_subsample
from germline.recipes.centre_matching import centre_matching
from germline.recipes.curation import curation
from germline.recipes.density_ratio import density_ratio
from germline.recipes.fresh import fresh
from germline.recipes.k_means_coverage import k_means_coverage
from germline.recipes.neon import neon
from germline.recipes.real_only import real_only
from germline.recipes.replace import replace
from germline.recipes.self_correction import self_correction
from germline.recipes.setup import EMBEDDED, Setup
from germline.recipes.sims import sims
from germline.selectors import Matched, Uniform
from germline.studies.loop import FRESH, WARM, N

Arms = Iterator[tuple[str, Recipe[ClassModel]]]


def rivals() -> Arms:
    """All rivals on the embedded set: 2,000 rows, 9,600 images a generation, w = 2, 10 steps."""
    yield from arms(EMBEDDED, 2_000)


def rivals_digits() -> Arms:
    """All rivals on the 8x8 digits: 290 rows, 6,400 images a generation, w = 2, 10 steps."""
    yield from arms(changed(WARM, guidance_scale=2.0), N, FRESH)


def arms(setup: Setup, n: int, share: float = 0.3) -> Arms:
    """Yield controls first, then SIMS and Neon (in self-improvement), then what changes the data, each selector with its match.

    A match is a random draw with the same real and label counts; for curation, of as many samples of the last model. For the density
    ratio, self-correction and ACUR-SIMS it is accumulate-subsample.
    """
    coverage, centred, curated = k_means_coverage(n, setup=setup), centre_matching(n, setup=setup), curation(n, setup=setup)
    yield "real-only", real_only(n, setup)
    yield "replace", replace(n, setup)
    yield "fresh", fresh(n, share, setup=setup)
    yield "accumulate", accumulate(n, setup)
    yield "accumulate-subsample", accumulate_subsample(n, setup=setup)
    yield "sims", sims(n, setup=setup)
    yield "sims-accumulate", sims(n, loop="accumulate", setup=setup)
    yield "neon", neon(n, setup=setup)
    yield "self-correction", self_correction(n, setup=setup)
    yield "curation", curated
    yield "curation-matched", changed(curated, scorers=(), selector=Uniform(n), source="control")
    yield "k-means-coverage", coverage
    yield "k-means-coverage-matched", matched(coverage)
    yield "centre-matching", centred
    yield "centre-matching-matched", matched(centred)
    yield "density-ratio", density_ratio(n, setup=setup)


def matched(recipe: Recipe[ClassModel]) -> Recipe[ClassModel]:
    """Return the control of a selector: the same recipe with a random draw of the same real and label counts."""
    assert recipe.selector is not None
    return changed(recipe, selector=Matched(recipe.selector), source="control")
