"""Negative extrapolation from self-training (Neon, arXiv 2510.03597)."""

from functools import partial

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.mixers import Replace
from germline.recipes.setup import EMBEDDED, Setup
from germline.trainers import Neon


def neon(n: int = 2_000, w: float = 0.5, setup: Setup = EMBEDDED) -> Recipe[ClassModel]:
    """Neon: train the last model on its own samples, then step the other way: (1 + w) previous - w trained.

    Generation 1 is the paper's; going on from it, generation after generation, is ours.

    Args:
        n: rows sampled, and trained on, a generation.
        w: 0 is the previous model, -1 the trained one (replace); the released code sweeps 0 to 2. Try --sweep w=0,0.5,1,2 in a study.
        setup: network, budget, sampler.
    """
    return Recipe(
        source="arXiv 2510.03597",
        founder=setup.founder(),
        mixer=Replace(),
        trainer=Neon(setup.trainer(), w),
        sampler=setup.sampler(n),
    )


embedded = partial(neon)
# Released script for CIFAR-10: EDM, 6,000 samples at 18 Heun steps, tuning with Adam at 1e-4 (ours is AdamW, and halves the rate of later
# generations) for up to 6 million images, unguided. The best w and length are picked by FID there. The network is not ours, and
# generation 0 is EDM's public model (200 million images); batch and EMA are EDM's defaults.
paper = partial(
    neon,
    n=6_000,
    setup=Setup(
        founder_images=200_000_000,
        images=6_000_000,
        batch=512,
        objective="edm",
        optimiser="adamw",
        learning_rate=2e-4,
        ema=0.9993,
        label_drop=0.0,
        channels=(128, 256),
        guidance_scale=1.0,
        steps=18,
        solver="heun",
    ),
)
