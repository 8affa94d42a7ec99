"""The remedies of the small loop in five cells, every one with its control (docs/results/loop.md).

A cell is a start (from scratch, warm) and a guidance. The paper's cell of arXiv 2509.16499 is from scratch, unguided, without labels.
Made for the 8x8 digits, 290 rows: small enough for several seeds of every cell on two processor cores.
"""

from collections.abc import Iterator
from dataclasses import replace as changed

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Classifier
from germline.recipes.accumulate_subsample import accumulate_subsample
from germline.recipes.entropy import entropy
from germline.recipes.real_only import real_only
from germline.recipes.replace import replace
from germline.recipes.setup import Setup
from germline.selectors import Farthest, Matched, Uniform

N = 290
FRESH = 0.29  # of 290 rows: the reserve of 430 holds five generations of 84, not of the papers' 30 %
SCRATCH = Setup(founder_images=38_400, images=38_400, batch=128, start="scratch", channels=(16, 32), guidance_scale=1.0)
WARM = changed(SCRATCH, founder_images=51_200, images=6_400, start="sequential")
Arms = Iterator[tuple[str, Recipe[ClassModel]]]


def loop_unconditional() -> Arms:
    """The paper's cell: from scratch, unguided, labels ignored (w = 0 samples without a label)."""
    yield from arms(changed(SCRATCH, label_drop=1.0, guidance_scale=0.0))


def loop_scratch() -> Arms:
    """From scratch, w = 1."""
    yield from arms(SCRATCH)


def loop_scratch_guided() -> Arms:
    """From scratch, w = 2."""
    yield from arms(changed(SCRATCH, guidance_scale=2.0))


def loop_warm() -> Arms:
    """From the last generation's weights, w = 1."""
    yield from arms(WARM)


def loop_warm_guided() -> Arms:
    """From the last generation's weights, w = 2."""
    yield from arms(changed(WARM, guidance_scale=2.0))


def planted() -> Arms:
    """The positive control, warm and w = 2: 20, 40 and 60 % real rows, an effect of known size that the measures must see."""
    yield from doses(changed(WARM, guidance_scale=2.0))


def planted_warm() -> Arms:
    """The positive control, warm and w = 1."""
    yield from doses(WARM)


def planted_scratch() -> Arms:
    """The positive control from scratch, w = 1."""
    yield from doses(SCRATCH)


def planted_scratch_guided() -> Arms:
    """The positive control from scratch, w = 2."""
    yield from doses(changed(SCRATCH, guidance_scale=2.0))


def planted_unconditional() -> Arms:
    """The positive control in the paper's cell."""
    yield from doses(changed(SCRATCH, label_drop=1.0, guidance_scale=0.0))


def doses(setup: Setup) -> Arms:
    """Yield random draws with three shares of real rows."""
    for share in (20, 40, 60):
        yield f"real-{share}", accumulate_subsample(N, real_share=share / 100, setup=setup)


def arms(setup: Setup, n: int = N) -> Arms:
    """Yield the loops, the remedies, and what each remedy has to beat: a random draw from the same rows with the same real share."""
    accumulated = entropy(n, setup=setup)
    twice = entropy(n, loop="replace-2n", setup=setup)
    yield "replace", replace(n, setup)
    yield "real-only", real_only(n, setup)
    yield "accumulate-subsample", accumulate_subsample(n, setup=setup)
    yield "greedy", accumulated
    yield "threshold-decay", entropy(n, "threshold-decay", setup=setup)
    yield "uniform-same-real-share", changed(accumulated, selector=Matched(Farthest(n, Classifier())), source="control")
    yield "greedy-2n", twice
    yield "threshold-decay-2n", entropy(n, "threshold-decay", "replace-2n", setup=setup)
    yield "uniform-2n", changed(twice, selector=Uniform(n), source="control")
