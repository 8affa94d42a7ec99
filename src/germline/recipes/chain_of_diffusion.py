"""The Chain of Diffusion: a base is fine-tuned, again and again, on images that its last fine-tuning made (arXiv 2407.17493)."""

from functools import partial
from typing import Literal

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.chain_setup import EMBEDDED, TOY, ChainSetup
from germline.samplers import Reloaded
from germline.trainers import Kept


def chain_of_diffusion(
    n: int = 2_000, real_data: float = 0.0, control: Literal["none", "reload"] = "none", setup: ChainSetup = EMBEDDED
) -> Recipe[ClassModel]:
    """Chain of Diffusion: every generation fine-tunes the base on the last one's samples, which have the classes of R's rows, in order.

    Generation 0 is the base fine-tuned on R, the paper's iteration 1; it runs 6, which is --generations 5. High guidance exaggerates,
    none blurs. Here class-conditional, a class being the prompt; base and numbers are ours.

    Args:
        n: real rows in whose place samples are made a generation; as many as R has.
        real_data: share of the samples that are swapped for the real rows in whose place they were made (ours; the paper has none).
        control: "reload" trains nothing and makes nothing: each generation is the last one's images, saved and loaded again (ours).
        setup: base, fine-tuning, sampler.
    """
    tune, sampler = setup.trainer(), setup.sampler(n)
    reload = control == "reload"
    return Recipe(
        source="arXiv 2407.17493, class-conditional",
        founder=tune,
        mixer=setup.mixer(real_data),
        trainer=Kept(tune) if reload else tune,
        sampler=Reloaded(sampler) if reload else sampler,
    )


embedded = partial(chain_of_diffusion)
toy = partial(chain_of_diffusion, n=300, setup=TOY)  # with --data toy-digits
# Known of the paper: the base is Stable Diffusion, fine-tuned anew each time, on as many images as there are prompts; no real image after
# the first iteration. Unknown to us: its data, LoRA or not, rank, rate, steps, solver and scales. So this is the embedded setup.
paper = partial(chain_of_diffusion)
