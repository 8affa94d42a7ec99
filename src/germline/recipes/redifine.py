"""ReDiFine: a Chain of Diffusion that drops conditions in fine-tuning and lets guidance fall during sampling (arXiv 2407.17493)."""

from dataclasses import replace
from functools import partial

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.chain_of_diffusion import chain_of_diffusion
from germline.recipes.chain_setup import EMBEDDED, EMOJI, EMOJI_ROWS, TEXT_TO_IMAGE, TOY, ChainSetup


def remedied(setup: ChainSetup) -> ChainSetup:
    """Return a chain's setup with the two remedies; their probability, formula, start and rate are ours, the paper's are unknown to us."""
    return replace(setup, condition_drop=0.2, guidance_schedule="exp_floor", guidance_scale=2.0, guidance_rate=3.0)


REMEDIED, REMEDIED_TOY = remedied(EMBEDDED), remedied(TOY)
# From 7.5, at which pipelines are usually guided, in the middle of the paper's 5 to 10.
REMEDIED_PIPELINE = replace(remedied(TEXT_TO_IMAGE), guidance_scale=7.5)
REMEDIED_EMOJI = replace(remedied(EMOJI), guidance_scale=7.5)


def redifine(n: int | None = 2_000, real_data: float = 0.0, setup: ChainSetup = REMEDIED) -> Recipe[ClassModel]:
    """ReDiFine: the Chain of Diffusion with condition drop in fine-tuning and a guidance scale that decays during sampling.

    The two remedies are the paper's; p = 0.2, exp_floor from 2 at a rate of 3 over solver steps are ours. A schedule lowers the guidance
    that images feel: --matched 0.7 puts the constant in its place that does as much, and shows what the schedule adds to that.
    With --model PATH_OR_ID a text-to-image pipeline is fine-tuned (preset text-to-image: from 7.5, over DDPM's step numbers).

    Args:
        n: real rows in whose place samples are made a generation; as many as R has, which None says.
        real_data: share of the samples that are swapped for the real rows in whose place they were made (ours; the paper has none).
        setup: base, fine-tuning, sampler.
    """
    made = chain_of_diffusion(n, real_data, setup=setup)
    return replace(made, source=made.source.replace(",", ", ReDiFine,"))


embedded = partial(redifine)
toy = partial(redifine, n=300, setup=REMEDIED_TOY)  # with --data toy-digits
text_to_image = partial(redifine, n=None, setup=REMEDIED_PIPELINE)  # what --model means
emoji = partial(redifine, n=EMOJI_ROWS, setup=REMEDIED_EMOJI)  # what --model emoji means
# Known of the paper: condition drop and a decaying scale together, from initial scales of 5 to 10. All else as for the chain.
paper = partial(redifine, setup=replace(REMEDIED, guidance_scale=7.5))
