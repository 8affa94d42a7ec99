"""Do Neon and SIMS improve generation 0, as their papers claim, and at which w (docs/results/rivals.md)?

One generation. The reference ``generation-0`` is generation 0's own model, sampled anew (Neon with w = 0); ``replace`` is what both papers
step away from, and ``real-only`` the positive control: what as much more training on real rows gains. Both methods steer by the
difference of two models, as guidance does, so ``guidance-...`` samples generation 0's model at other scales, which costs no training.
"""

from collections.abc import Iterator
from dataclasses import replace as changed

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.neon import neon
from germline.recipes.real_only import real_only
from germline.recipes.replace import replace
from germline.recipes.setup import EMBEDDED, Setup
from germline.recipes.sims import sims
from germline.studies.loop import WARM, N

Arms = Iterator[tuple[str, Recipe[ClassModel]]]
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
SCALES = (1.0, 1.25, 1.5, 2.0, 3.0)


def self_improvement() -> Arms:
    """Neon and SIMS over w on the embedded set, unguided: 2,000 rows."""
    yield from arms(changed(EMBEDDED, guidance_scale=1.0), 2_000)


def self_improvement_digits() -> Arms:
    """Neon and SIMS over w on the 8x8 digits, unguided: 1,160 rows, so that the distance is less noisy."""
    yield from arms(WARM, 4 * N)


def self_improvement_digits_guided() -> Arms:
    """Neon and SIMS over w on the 8x8 digits, beside a guidance scale of 2."""
    yield from arms(changed(WARM, guidance_scale=2.0), 4 * N)


def arms(setup: Setup, n: int) -> Arms:
    """Yield the reference and the controls, then both methods with growing w."""
    yield "generation-0", neon(n, 0.0, setup)
    yield "replace", replace(n, setup)
    yield "real-only", real_only(n, setup)
    for scale in SCALES:
        if scale != setup.guidance_scale:
            yield f"guidance-{scale:g}", neon(n, 0.0, changed(setup, guidance_scale=scale))
    for w in STRENGTHS:
        yield f"neon-{w:g}", neon(n, w, setup)
    for w in STRENGTHS:
        yield f"sims-{w:g}", sims(n, w, setup=setup)
