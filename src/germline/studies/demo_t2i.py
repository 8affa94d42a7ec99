"""What ``make demo-t2i`` runs: the emoji model, fine-tuned on its own pictures of a style that it never saw, at three guidance scales."""

from collections.abc import Iterator
from dataclasses import replace

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.chain_of_diffusion import chain_of_diffusion
from germline.recipes.chain_setup import EMOJI, EMOJI_ROWS
from germline.recipes.redifine import REMEDIED_EMOJI, redifine

SCALES = (1.0, 3.0, 7.5)


def demo_t2i() -> Iterator[tuple[str, Recipe[ClassModel]]]:
    """Chain of Diffusion at guidance 1, 3 and 7.5, and ReDiFine from 7.5, on the shipped text-to-image model and 240 emoji."""
    for scale in SCALES:
        yield f"guidance-{scale:g}", chain_of_diffusion(EMOJI_ROWS, setup=replace(EMOJI, guidance_scale=scale))
    yield "redifine-7.5", redifine(EMOJI_ROWS, setup=REMEDIED_EMOJI)
