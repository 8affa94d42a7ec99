"""Latent-space filtering, the loops that it is compared with, and the controls that nobody ran (docs/results/lsf.md).

A probe that is fitted on rows that are also on offer may just know them again (``held-out`` is fitted on others). The n surest rows need
not be spread over the classes (``per-class``). A filter that keeps real rows gains by that alone (``matched``: a random draw with the
same real and label counts). Any fixed order of rows keeps the pool from changing (``random-probe``).
"""

from collections.abc import Iterator
from dataclasses import replace as changed

from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Bottleneck
from germline.metrics import OLE, ClassAngles, Confidence
from germline.recipes.accumulate import accumulate
from germline.recipes.accumulate_subsample import accumulate_subsample
from germline.recipes.fresh import fresh
from germline.recipes.lsf import SIGMAS
from germline.recipes.lsf import lsf as filtering
from germline.recipes.real_only import real_only
from germline.recipes.replace import replace
from germline.recipes.setup import EMBEDDED, Setup
from germline.scorers import Confidence as Probe
from germline.selectors import Uniform
from germline.studies.loop import FRESH, WARM, N
from germline.studies.rivals import matched

Arms = Iterator[tuple[str, Recipe[ClassModel]]]


def seen(per_class: int) -> tuple[Metric, ...]:
    """Return what every arm is seen by: the latents at one noise level, and one probe, fitted on rows that no arm trains on.

    OLE grows with the rows, so ``per_class`` is what the arm that samples least has of a class, or less.
    """
    latents, probe = Bottleneck(0.34), Probe(tuple(map(Bottleneck, SIGMAS)), "judge")
    return OLE(latents, per_class=per_class), ClassAngles(latents, per_class=per_class), Confidence(probe)


METRICS, METRICS_DIGITS = seen(100), seen(N // 10)


def lsf() -> Arms:
    """Filtering, its rivals and controls on the embedded set, unguided as in the paper: 2,000 rows, 9,600 images a generation."""
    yield from arms(changed(EMBEDDED, guidance_scale=1.0), 2_000)


def lsf_digits() -> Arms:
    """Filtering, its rivals and controls on the 8x8 digits, unguided as in the paper: 290 rows, 6,400 images a generation."""
    yield from arms(WARM, N, FRESH)


def lsf_digits_guided() -> Arms:
    """Filtering beside guidance, which makes samples that a probe is surer of than it is of real rows: the digits, w = 2."""
    yield from arms(changed(WARM, guidance_scale=2.0), N, FRESH)


def arms(setup: Setup, n: int, share: float = 0.3) -> Arms:
    """Yield the paper's loops (SYN, SYN-ADD, ACU, ACUR, ACU-LSF), then the controls, then what is filtered without any real row."""
    filtered, twice = filtering(n, setup=setup), filtering(n, "replace", setup=setup)
    yield "real-only", real_only(n, setup)
    yield "syn", replace(n, setup)
    yield "syn-add", fresh(n, share, setup=setup)
    yield "acu", accumulate(n, setup)
    yield "acur", accumulate_subsample(n, setup=setup)
    yield "acu-lsf", filtered
    yield "matched", matched(filtered)
    yield "held-out", filtering(n, fit_on="judge", setup=setup)
    yield "random-probe", filtering(n, fit_on="random", setup=setup)
    yield "per-class", filtering(n, per_class=True, setup=setup)
    yield "lsf-farthest", filtering(n, farthest=True, setup=setup)
    yield "syn-lsf", twice
    yield "syn-uniform", changed(twice, scorers=(), selector=Uniform(n), source="control")
