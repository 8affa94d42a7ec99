"""RSIDiff on the shipped text-to-image model, its baseline at equal budget, and each part left out (arXiv 2502.09963, Fig. 7)."""

from collections.abc import Iterator
from functools import partial

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.rsidiff import embedded as whole
from germline.recipes.sft import embedded as baseline

PLAIN = "a photo of {noun}"  # of bare captions, which are the real rows'
HELD_OUT = "dual_encoder_held_out"


def rsidiff_ablations() -> Iterator[tuple[str, Recipe[ClassModel]]]:
    """RSIDiff, SFT at equal budget, each part left out, all three left out; and chosen by the held-out scorer: the positive control.

    Captions without the pipeline are too few for 384 a round: rsidiff-small is the whole at the size of the two arms that have them.
    """
    plain = partial(whole, n=64, kept=8, prompts=None, template=PLAIN)  # 646 captions are nine rounds of 64; an eighth is kept, as ever
    yield "chosen-by-held-out", whole(scorers=(HELD_OUT,))
    yield "rsidiff", whole()
    yield "rsidiff-small", whole(n=64, kept=8)
    yield "sft-equal-budget", baseline()
    yield "no-prompt-pipeline", plain()
    yield "no-preference", whole(choose="random")
    yield "no-weights", whole(weights="none")
    yield "no-strategy", plain(choose="random", weights="none")
