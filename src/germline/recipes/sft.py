"""Plain fine-tuning on a model's own images: the baseline of RSIDiff (arXiv 2502.09963)."""

from dataclasses import replace
from functools import partial
from typing import cast

from germline.core.protocols import Trainer
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import First
from germline.recipes.chain_setup import ChainSetup
from germline.recipes.rsidiff import SD14, SHIPPED, rounds_of
from germline.trainers import Import


def sft(n: int = 5_000, prompts: str | None = None, setup: ChainSetup = SD14) -> Recipe[ClassModel]:
    """SFT: the base, fine-tuned on all images that it made of the first round's prompts; none is chosen, all count alike.

    Each generation goes on where the last one ended, on the same images, so that as many rows are seen as RSIDiff sees by that round
    (ours: the control at equal budget). The paper trains once, 500 passes over 5,000 images: --preset paper.

    Args:
        n: prompts a round; what is trained on are the images of the first.
        prompts: a file of germline prompts rounds; "emoji" is shipped; else the captions of the real rows, in their order.
        setup: pipeline, fine-tuning, sampler.
    """
    return Recipe(
        source="arXiv 2502.09963, baseline SFT",
        founder=cast(Trainer[ClassModel], Import(setup.source(), setup.revision)),
        mixer=First(),
        trainer=setup.trainer(),
        sampler=rounds_of(setup.sampler(n), prompts),
    )


GENERATIONS = {"sd14": 8, "paper": 1}
embedded = partial(sft, n=64, prompts="emoji", setup=SHIPPED)
sd14 = partial(sft)  # as many rows a round as RSIDiff sees
paper = partial(sft, setup=replace(SD14, images=2_500_000))  # batch and rate are RSIDiff's, since the paper gives none
