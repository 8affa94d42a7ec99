"""RSIDiff: a text-to-image model that is fine-tuned, round after round, on the best of its own images (arXiv 2502.09963)."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, cast

from germline.core.protocols import Sampler, Trainer
from germline.core.recipe import Recipe
from germline.data.emoji_files import ROUNDS
from germline.diffusion.model import ClassModel
from germline.features import VAELatents
from germline.recipes.chain_setup import EMOJI, TEXT_TO_IMAGE, ChainSetup
from germline.recipes.preference_setup import NONE_GIVEN, SCORING, Choose, FirstRound, Scoring, named
from germline.samplers import Rounds
from germline.trainers import Import, TunePipeline
from germline.weighters import DistributionWeight

# The paper: whole U-Net (inferred), batch 12, rate 1e-6, 30 passes over 300 images, of Stable Diffusion 1.4. Scheduler, steps and
# guidance are that model's defaults, since the paper names none.
SD14 = replace(
    TEXT_TO_IMAGE,
    model="CompVis/stable-diffusion-v1-4",
    images=9_000,
    batch=12,
    rank=None,
    start="sequential",
    learning_rate=1e-6,
    steps=50,
)
# The paper: LoRA, rate 1e-6, 2,000 steps. Rank and batch (that of SD 1.4) are ours.
SD3 = replace(SD14, model="stabilityai/stable-diffusion-3-medium-diffusers", images=24_000, rank=16, guidance_scale=7.0, steps=28)
# Ours, from the pilots of docs/results/rsidiff.md. At guidance 1.4 and above, every round has more contrast than the last, whatever is
# chosen. Of one image a prompt little could be chosen but easy prompts: so the best of eight.
SHIPPED = replace(
    EMOJI,
    images=1_536,
    rank=None,
    start="sequential",
    learning_rate=1e-4,
    guidance_scale=1.2,
    images_a_prompt=8,
    condition_drop=0.15,
)
GENERATIONS = {"sd14": 8, "sd3": 3}  # the paper's rounds
PAPER_SCORERS = ("clip", "aesthetic_v2", "hps_v2")


def rsidiff(
    n: int = 5_000,
    kept: int = 300,
    scorers: tuple[str, ...] = PAPER_SCORERS,
    choose: Choose = "preference",
    combine: Literal["rank_sum", "z_score", "thresholds", "pareto"] = "rank_sum",
    cap: int = 1,
    weights: Literal["mse", "l2", "mse_scaled", "l2_scaled", "none"] = "mse",
    beta: float | None = 35.0,
    sigma2: float | None = 2.0,
    weight_norm: Literal["count", "mean_one"] = "count",
    prompts: str | None = None,
    template: str | None = None,
    scoring: Scoring = SCORING,
    first: FirstRound = NONE_GIVEN,
    setup: ChainSetup = SD14,
) -> Recipe[ClassModel]:
    """RSIDiff: each round's model draws images of new prompts; the next is it, fine-tuned on those that scorers like best together.

    Rows far from the base's own samples in the VAE's latents count less (Eq. 5, 6). Generation 0 is the base as it is; the paper runs 8
    rounds, --generations 8. How scorers are combined, and what distance is meant, the paper does not say. Its ablations: --template
    "a photo of {noun}", --choose random, --weights none.

    Args:
        n: prompts a round.
        kept: images that are trained on.
        scorers: what is preferred: names, NAME:WEIGHTS, ratings:FILE of votes, support:SPACE or trajectory_variance (hallucinations), an
            address, or module:function (see docs/scorers.md).
        choose: the best by the scorers; at random; or of the better half those that lie far from each other, or that a probe of the base
            puts most surely into their prompt's group (latent-space filtering; both are ours).
        combine: how scorers are combined: ranks or z-scores added, floors for each, or fronts that no image beats.
        cap: images a prompt at most.
        weights: distance to the base's samples: mean squared difference, length of the difference, of latents as the VAE gives them or as
            the network is given them (scaled), or no weights. beta = 35 and sigma2 = 2 can be meant for "mse" only.
        beta: distance up to which a row counts whole; left out, it and sigma2 are calibrated on generation 0.
        sigma2: beyond it, the distance in which the weight falls by e.
        weight_norm: divide the weighted loss by the number of rows (the paper), or scale the weights to a mean of 1.
        prompts: a file of germline prompts rounds; "emoji" is shipped; else the captions of the real rows, in their order.
        template: what each prompt is put into in place of {noun}; with it, those that are shipped give way to the captions.
        scoring: how scores are combined.
        first: your own images and votes in round 1.
        setup: pipeline, fine-tuning, sampler.
    """
    sampler, each = rounds_of(setup.sampler(n), prompts, template), setup.images_a_prompt
    told = tuple(named(name, sampler) for name in scorers)
    scaled, distance = weights.endswith("_scaled"), cast(Literal["mse", "l2"], weights.removesuffix("_scaled"))
    space, tune = VAELatents(setup.source(), setup.revision, setup.pixels, scaled), cast(TunePipeline, setup.trainer())
    best = scoring.preference(kept, tuple(one.name for one in told), combine, cap)
    return Recipe(
        source="arXiv 2502.09963",
        founder=cast(Trainer[ClassModel], Import(setup.source(), setup.revision)),
        mixer=first.mixer(),
        scorers=scoring.scorers(choose, told, setup),
        weighters=() if weights == "none" else (DistributionWeight(space, beta, sigma2, distance),),
        selector=first.selector(kept, cap, scoring.chosen(choose, best, n * min(cap, each), each)),
        trainer=cast(Trainer[ClassModel], replace(tune, weight_norm=weight_norm)),
        sampler=sampler,
    )


def rounds_of(sampler: Sampler[ClassModel], prompts: str | None, template: str | None = None) -> Rounds[ClassModel]:
    """Return the sampler of new prompts in every generation."""
    if prompts == "emoji" and template is not None:
        prompts = None  # those that are shipped are whole prompts; the captions of the real rows are nouns
    file = None if prompts is None else ROUNDS if prompts == "emoji" else Path(prompts).expanduser()
    return Rounds(sampler, file, template)


embedded = partial(rsidiff, n=64, kept=64, scorers=("dual_encoder",), beta=None, sigma2=None, prompts="emoji", setup=SHIPPED)
sd14 = partial(rsidiff)
# 13,000 images, 1,000 of them kept after automatic filters and a look by people: --scorers clip ratings:votes.csv. No weights named.
sd3 = partial(rsidiff, n=13_000, kept=1_000, weights="none", setup=SD3)
