"""The Chain of Diffusion: a base is fine-tuned, again and again, on images that its last fine-tuning made (arXiv 2407.17493)."""

from functools import partial
from typing import Literal

from germline.core.protocols import Sampler
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.chain_setup import EMBEDDED, EMOJI, EMOJI_ROWS, TEXT_TO_IMAGE, TOY, ChainSetup
from germline.samplers import ReEncoded, Reloaded
from germline.trainers import Kept

UNKNOWN = 2_000  # rows where none are given and no data are there, as in `show`: the embedded R


def chain_of_diffusion(
    n: int | None = 2_000,
    real_data: float = 0.0,
    control: Literal["none", "reload", "vae"] = "none",
    setup: ChainSetup = EMBEDDED,
) -> Recipe[ClassModel]:
    """Chain of Diffusion: every generation fine-tunes the base on the last one's samples, which have the prompts of R's rows, in order.

    Generation 0 is the base fine-tuned on R, the paper's iteration 1; it runs 6, which is --generations 5. High guidance exaggerates,
    none blurs. With --model PATH_OR_ID a text-to-image pipeline is fine-tuned (preset text-to-image), with --model emoji
    the one that is shipped; else a class is the prompt. Base
    and numbers are ours.

    Args:
        n: real rows in whose place samples are made a generation; as many as R has, which None says.
        real_data: share of the samples that are swapped for the real rows in whose place they were made (ours; the paper has none).
        control: trains nothing after generation 0. "reload": each generation is the last one's images, saved and loaded again; "vae": and
            passed through the VAE of the pipeline in between (ours).
        setup: base, fine-tuning, sampler.
    """
    tune, sampler = setup.trainer(), setup.sampler(UNKNOWN if n is None else n)
    return Recipe(
        source=f"arXiv 2407.17493, {'text-to-image' if setup.network == 'pipeline' else 'class-conditional'}",
        founder=tune,
        mixer=setup.mixer(real_data),
        trainer=tune if control == "none" else Kept(tune),
        sampler=controlled(sampler, control, setup),
    )


def controlled(sampler: Sampler[ClassModel], control: Literal["none", "reload", "vae"], setup: ChainSetup) -> Sampler[ClassModel]:
    """Return the sampler of a control chain: of generation 0 the given one, later of the last generation's images."""
    if control == "vae":
        return ReEncoded(sampler.n, setup.source(), setup.revision, sampler, setup.pixels)
    return Reloaded(sampler) if control == "reload" else sampler


embedded = partial(chain_of_diffusion)
toy = partial(chain_of_diffusion, n=300, setup=TOY)  # with --data toy-digits
# Known of the paper: the base is Stable Diffusion, fine-tuned anew each time, on as many images as there are prompts; no real image after
# the first iteration. Unknown to us: its data, LoRA or not, rank, rate, steps, solver and scales.
text_to_image = partial(chain_of_diffusion, n=None, setup=TEXT_TO_IMAGE)  # what --model means
emoji = partial(chain_of_diffusion, n=EMOJI_ROWS, setup=EMOJI)  # what --model emoji means
paper = partial(chain_of_diffusion)
