"""Keep everything, train on a bounded draw of it (arXiv 2410.16713; the "accumulate" of arXiv 2509.16499 is stratified)."""

from functools import partial
from typing import Literal

from germline.core.protocols import Selector
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import Accumulate
from germline.recipes.setup import EMBEDDED, PAPER_ENTROPY, Setup
from germline.selectors import RealShare, Stratified, Uniform


def accumulate_subsample(
    n: int = 2_000,
    draw: Literal["uniform", "stratified"] = "uniform",
    real_share: float | None = None,
    setup: Setup = EMBEDDED,
) -> Recipe[ClassModel]:
    """Accumulate, then train on n rows of R + S_0 + ... + S_{g-1}.

    Args:
        n: rows sampled, and trained on, a generation.
        draw: uniform over the pool, or equal counts from R and every generation.
        real_share: share of real rows, the control for selectors that prefer real rows; overrides ``draw``.
        setup: network, budget, sampler.
    """
    source = {"uniform": "arXiv 2410.16713", "stratified": "arXiv 2509.16499, accumulate"}[draw]
    draws: dict[str, Selector] = {"uniform": Uniform(n), "stratified": Stratified(n)}
    return Recipe(
        source=source if real_share is None else "control: a random draw with a given share of real rows",
        founder=setup.founder(),
        mixer=Accumulate(),
        selector=draws[draw] if real_share is None else RealShare(n, real_share),
        trainer=setup.trainer(),
        sampler=setup.sampler(n),
    )


embedded = partial(accumulate_subsample)
paper = partial(accumulate_subsample, n=32_768, draw="stratified", setup=PAPER_ENTROPY)
