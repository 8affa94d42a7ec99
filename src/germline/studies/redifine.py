"""What ReDiFine buys beyond a lower effective guidance (docs/results/redifine.md).

A decaying schedule lowers the guidance that images feel, so comparing it with the constant that it starts from misleads: ``matched`` is the
constant that moves means as the schedule does at tau 0.7, about the standard deviation of the data's pixels in [-1, 1].
"""

from collections.abc import Iterator
from dataclasses import replace

from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Perceptron
from germline.metrics import Agreement, Frechet
from germline.recipes.chain_of_diffusion import chain_of_diffusion
from germline.recipes.chain_setup import EMBEDDED, EMOJI, EMOJI_ROWS, TOY, ChainSetup
from germline.recipes.redifine import redifine as remedied_chain
from germline.recipes.redifine import remedied

SCALES = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5)
TAU = 0.7
# No tau matches on latents, for captions differ at far larger scales than images within one. This is the constant whose first generation
# grows what tells captions apart as the default's does (docs/results/guidance.md).
EMOJI_MATCHED = 1.8
METRICS_TOY: tuple[Metric, ...] = (Frechet(Perceptron()), Agreement(Perceptron()))

Arms = Iterator[tuple[str, Recipe[ClassModel]]]


def redifine_toy() -> Arms:
    """Guidance scales 1 to 7.5, each constant, with drop, with schedule, with both, and constant at the schedule's s_eff: the 8x8 toy."""
    for scale in SCALES:
        yield from arms(TOY, 300, scale)


def redifine_default() -> Arms:
    """The frozen default and its controls at its own scale, on the toy's network; other sets by --data NAME --size 8 --real 300."""
    yield "constant-1", chain_of_diffusion(300, setup=TOY)
    yield from arms(TOY, 300, remedied(TOY).guidance_scale)


def redifine() -> Arms:
    """The main arms on the compact U-Net: constant 1, constant s_eff, constant 2, drop only, schedule only, both; save-and-reload."""
    yield "constant-1", chain_of_diffusion(setup=replace(EMBEDDED, guidance_scale=1.0))
    yield from arms(EMBEDDED, 2_000, remedied(EMBEDDED).guidance_scale)
    yield "reload", chain_of_diffusion(control="reload")


def redifine_emoji() -> Arms:
    """Constant 1, all arms at the default's scale, and save-and-reload: the shipped text-to-image model on a style that it never saw."""
    setup = replace(EMOJI, guidance_over="step", guidance_scale=remedied(EMOJI).guidance_scale)  # the frozen default counts solver steps
    yield "constant-1", chain_of_diffusion(EMOJI_ROWS, setup=replace(setup, guidance_scale=1.0))
    yield from arms(setup, EMOJI_ROWS, setup.guidance_scale, EMOJI_MATCHED)
    yield "reload", chain_of_diffusion(EMOJI_ROWS, control="reload", setup=setup)


def arms(setup: ChainSetup, n: int, scale: float, constant: float | None = None) -> Arms:
    """Yield the arms of one initial scale; at 1 a schedule is no other than the constant. The match is ``constant``, or is found by tau."""
    both = replace(remedied(setup), guidance_scale=scale)
    plain = replace(setup, guidance_scale=scale)
    yield f"constant-{scale:g}", chain_of_diffusion(n, setup=plain)
    yield f"drop-{scale:g}", chain_of_diffusion(n, setup=replace(plain, condition_drop=both.condition_drop))
    if scale != 1:
        schedule = replace(both, condition_drop=0.0)
        yield f"schedule-{scale:g}", chain_of_diffusion(n, setup=schedule)
        yield f"both-{scale:g}", remedied_chain(n, setup=both)
        matched = replace(schedule, matched=TAU) if constant is None else replace(plain, guidance_scale=constant)
        yield f"matched-{scale:g}", chain_of_diffusion(n, setup=matched)
