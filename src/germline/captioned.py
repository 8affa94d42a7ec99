"""What generation 0 foretells where every caption has one image, and of pipelines, whose noise is in latents: beside guidance.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, UInt8

from germline.chain import Chain
from germline.core import digest
from germline.core.context import Context
from germline.core.displacement import Labels
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool
from germline.core.protocols import Sampler
from germline.core.recipe import Recipe
from germline.core.seeds import rng
from germline.core.splits import Splits
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.guidance import CANDIDATE, DRAWS, AtScale, Prediction, Range, chosen_rows, rescaled
from germline.metrics.growth import flat
from germline.pipelines.latents import encoded
from germline.pipelines.opened import Opened, open_pipeline
from germline.pipelines.tuned import Tuned
from germline.samplers import SamplePipeline
from germline.theory.growth import critical_scale, null_branch_leak
from germline.theory.guided_gaussian import effective_scale
from germline.theory.one_image import OneImage

M = TypeVar("M")
IMAGES = 2  # of a caption, by the model before the chain: more captions tell more of W than more images of each
ENOUGH = 20  # captions, fewer of which tell nothing


@dataclass(frozen=True)
class Within:
    """How much images of one caption differ, as far as one image each of them can be told.

    Attributes:
        share: of the data's variance that is within captions, by the draws of a model.
        by: whose draws: "the base", or "generation 0" where no pipeline precedes the chain.
        captions: that were drawn, ``images`` of each.
        images: a caption.
    """

    share: float
    by: str
    captions: int
    images: int = IMAGES


def single(chain: Chain, data: Splits, rows: int) -> bool:
    """Return whether most of the rows that would be drawn have a caption that no other row has: then there are no classes to compare."""
    first = chain[0]
    condition = first.samples.condition
    if not np.issubdtype(condition.dtype, np.str_):
        return False
    drawn, training = condition[chosen_rows(first.samples, rows)], first.training(data).condition
    often = [set(values[counts > 1].tolist()) for values, counts in (np.unique(x, return_counts=True) for x in (drawn, training))]
    return bool(np.isin(drawn, sorted(often[0] & often[1])).mean() < 0.5)


def predict(recipe: Recipe[M], chain: Chain, data: Splits, scales: Sequence[float], rows: int = 300) -> tuple[Prediction, Within]:
    """Return the prediction of generation 0 for captions with one image each, and how it knows what images of a caption share.

    A growth is N / B, with W of the model before the chain (theory/one_image.py); its interval begins where that of an image learned by
    heart does, and holds 95 % over captions, so it also says what is not known. Samples at every scale start from equal noise.

    Raises:
        BadInput: the founder trains nothing, the sampler has no guidance scale, there are too few captions, or the model's images of a
            caption differ more than all images of the data do.
    """
    if getattr(recipe.founder, "images", 1) == 0:
        raise BadInput(
            f"{chain.path}: generation 0 is a pipeline as it is, so nothing was absorbed yet and there is no growth to read off."
        )
    if len(scales) < 2 or scales[0] != 1 or sorted(set(scales)) != list(scales):
        raise BadInput(f"Growth is drawn at two rising scales or more, the first of them 1, where it is h; got {list(scales)}.")
    ctx, first = chain.context(0, data), chain[0]
    pairs, draw = _pairs(first.training(data).condition, first.samples.condition, rows), rng(0, REAL, "guidance/captions")
    model: M = first.model  # type: ignore[assignment]
    images, rows_drawn = first.training(data).take(pairs[:, 0]), pairs[:, 1]

    def drawn(scale: float) -> np.ndarray:
        found: np.ndarray = flat(
            _drawn(rescaled(recipe.sampler, scale), model, rows_drawn, images.condition, ctx, f"{scale:g} {first.digest}")
        )
        return found

    made = [drawn(scale) for scale in scales]
    law, by, draws = _law(recipe, model, images, rows_drawn, ctx, first.digest)
    again = draw.integers(len(pairs), size=(DRAWS, len(pairs))), draw.integers(len(law.within), size=(DRAWS, len(law.within)))
    own = flat(first.samples.take(pairs[:, 1]))
    found = [_growth(law, law.moved(x), again) for x in (*made, own)]
    growths = [one[0] for one in found[:-1]]
    critical = critical_scale(scales, growths)
    constant = critical if critical is not None else scales[0] if growths[0] > 1 else scales[-1]
    at = tuple(_at(scale, *one) for scale, one in zip(scales, found, strict=False))
    rising = all(a < b for a, b in pairwise(growths)) and growths[0] <= found[-1][0] <= growths[-1]
    equal = float(np.interp(found[-1][0], growths, scales)) if rising else None
    tau = float(np.sqrt(np.var(draws.images[:].reshape(-1, IMAGES, law.directions.shape[1]) / 127.5, axis=1, ddof=1).mean()))
    prediction = Prediction(
        rows=len(pairs),
        classes=len(pairs),
        h=Range(*found[0]),
        critical=Range(critical, *_ends(scales, law, [law.moved(x) for x in made], again)),
        scales=at,
        own=_at(equal, *found[-1]),
        most=law.most * law.total / law.between,
        spread=tau,
        constant=constant,
        start=None,
    )
    prediction = in_latents(prediction, recipe, draws, np.repeat(np.arange(len(draws) // IMAGES), IMAGES))
    return prediction, Within(1 - law.between / law.total, by, len(law.within))


def observed(chain: Chain, data: Splits, within: float) -> list[float]:
    """Return the displacement of every generation's samples along the data's images, in units of the part that captions tell of it.

    ``within`` is the share that they do not tell, of the prediction.
    """
    first = chain[0]
    training = first.training(data)
    pairs = _pairs(training.condition, first.samples.condition, len(first.samples))
    x = flat(training.take(pairs[:, 0]))
    law = OneImage(x.astype(np.float64) - x.mean(axis=0, dtype=np.float64), np.zeros(1))
    samples = [generation.samples for generation in chain.generations()]
    return [float(law.moved(flat(pool.take(pairs[:, 1]))).sum() / (law.total * (1 - within))) for pool in samples]


def leak(recipe: Recipe[M], chain: Chain, data: Splits, rows: int = 300) -> float | None:
    """Return how far fine-tuning moved unconditional samples from a pipeline's towards its data; None where no pipeline precedes the chain.

    Both draw without a prompt, from equal noise.
    """
    ctx, first = chain.context(0, data), chain[0]
    model: M = first.model  # type: ignore[assignment]
    before, by = _before(recipe, model)
    if before is model:
        return None
    sampler, drawn = rescaled(recipe.sampler, 0.0), chosen_rows(first.samples, rows)
    captions = first.samples.condition[drawn]
    u, u0 = (
        flat(_drawn(sampler, one, drawn, captions, ctx, f"none, {whose} of {first.digest}")).mean(axis=0)
        for one, whose in ((model, "generation 0"), (before, by))
    )
    return null_branch_leak(u, u0, flat(first.training(data)).mean(axis=0))


def repeated(pool: Pool, rows: int) -> Pool:
    """Return at most ``rows`` rows of classes or captions that have two rows or more, whole classes first."""
    _, place, counts = np.unique(pool.condition, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    return pool.take(order[counts[place[order]] > 1][: max(rows, 2)])


def in_latents(made: Prediction, recipe: Recipe[M], images: Pool, groups: Labels) -> Prediction:
    """Return a prediction whose spread and schedule are those of a pipeline's latents, where the noise is; others as they are.

    ``groups`` says which images are of one class or caption; the spread is within them.
    """
    sampler: object = recipe.sampler
    base: object = getattr(recipe.founder, "base", None)
    if not isinstance(sampler, SamplePipeline) or not isinstance(base, Path | str):
        return made
    tau = latent_spread(open_pipeline(base), images.images[:], groups)
    return replace(made, spread=tau, start=latent_start(replace(sampler, base=base), made.constant, tau))


def latent_spread(opened: Opened, images: UInt8[np.ndarray, "n h w c"], groups: Labels) -> float:
    """Return the standard deviation of latents, as the network knows them, within their group: over groups of two or more, without bias."""
    x = encoded(opened, images, images.shape[1])[0].flatten(1).double().numpy()
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    kept = counts[place] > 1
    if not kept.any():
        raise BadInput("The spread of latents within a caption needs two images of some caption.")
    sums = np.zeros((len(counts), x.shape[1]))
    np.add.at(sums, place, x)
    squares = np.square(x - (sums / counts[:, None])[place])[kept].sum()
    return float(np.sqrt(squares / ((counts[counts > 1] - 1).sum() * x.shape[1])))


def latent_start(sampler: SamplePipeline, scale: float, tau: float) -> float | None:
    """Return where exp_floor (rate 3, u = timestep, counted in the pipeline's own steps of training) begins to have s_eff(tau) = scale."""
    if scale < 1 or tau <= 0:
        return None
    schedule = replace(CANDIDATE, over="timestep")
    grid = [float(sigma) for sigma in sampler.sigmas()]
    # exp_floor is 1 + (start - 1) e^(-a u), so s_eff - 1 is proportional to start - 1.
    return 1 + (scale - 1) / ((effective_scale(_scale(sampler, schedule), tau, grid) - 1) / (schedule.start - 1))


def _scale(sampler: SamplePipeline, schedule: GuidanceSchedule) -> Callable[[float], float]:
    return replace(sampler, guidance_scale=schedule).scale()


def _pairs(training: Labels, samples: Labels, rows: int) -> np.ndarray:
    """Return (row of the training set, row of the samples) of captions that both have, the first row of each; ``rows`` of them at most."""
    captions, of_training, of_samples = np.intersect1d(training, samples, return_indices=True)
    if len(captions) < ENOUGH:
        raise BadInput(
            f"Growth along single images needs {ENOUGH} captions that samples and training set share, but there are {len(captions)}."
        )
    chosen = np.sort(rng(0, REAL, "guidance/pairs").permutation(len(captions))[:rows])
    return np.stack([of_training[chosen], of_samples[chosen]], axis=1)


def _law(recipe: Recipe[M], model: M, images: Pool, rows: np.ndarray, ctx: Context, of: str) -> tuple[OneImage, str, Pool]:
    """Return the law of the data's images, whose draws told W, and those draws: ``IMAGES`` of one caption side by side."""
    before, by, captions = *_before(recipe, model), images.condition
    place = np.sort(rng(0, REAL, "guidance/within").permutation(len(rows))[: max(ENOUGH, len(rows) // IMAGES)])
    each = getattr(recipe.sampler, "images_a_prompt", 1)
    turn = each * len(ctx.data.real)  # after so many rows the prompts come again
    wanted = (rows[place, None] + turn * np.arange(IMAGES)).reshape(-1)
    pool = _drawn(rescaled(recipe.sampler, 1.0), before, wanted, np.repeat(captions[place], IMAGES), ctx, f"{by} of {of}")
    law = OneImage.of(flat(images), flat(pool).reshape(len(place), IMAGES, -1))
    if law.between <= 0:
        raise BadInput(
            f"Images of one caption differ more in the draws of {by} than all images of the data do, so one image a caption tells nothing"
            " of what captions say. Give data with several images a caption."
        )
    return law, by, pool


def _before(recipe: Recipe[M], model: M) -> tuple[M, str]:
    """Return the model that was there before the chain: the pipeline, or else generation 0 itself."""
    base = getattr(recipe.founder, "base", None)
    if isinstance(base, Path | str):
        return Tuned(open_pipeline(base)), "the base"  # type: ignore[return-value]
    return model, "generation 0"


def _drawn(sampler: Sampler[M], model: M, rows: np.ndarray, captions: Labels, ctx: Context, of: str) -> Pool:
    """Return samples of these rows, whose captions are known, kept in the cache beside the run; its records stay as they are."""

    def made() -> dict[str, np.ndarray]:
        pool = sampler(model, rows, ctx)
        if pool.condition.tolist() != captions.tolist():
            who = type(sampler).__name__
            raise BadInput(f"{who} does not draw the prompts over again, so there are no several images of one caption to compare.")
        return {"images": pool.images[:]}

    return Pool.of(ctx.once(sampler, made, f"captions {of} {digest.of_array(rows)}")["images"], captions, 0)


def _growth(law: OneImage, moved: Float64[np.ndarray, " n"], again: tuple[np.ndarray, np.ndarray]) -> tuple[float, float, float]:
    by_heart, told = law.replicas(moved, *again)
    value = float(moved.sum() / law.between)
    low, high = float(np.quantile(by_heart, 0.025)), float(np.quantile(told, 0.975, method="nearest"))
    low, high = min(low, value), max(high, value)
    return value, low, min(high, law.most * law.total / law.between)


def _at(scale: float | None, growth: float, low: float, high: float) -> AtScale:
    likely = "exaggerate" if growth > 1 else "blur"
    return AtScale(scale, growth, low, high, likely if low > 1 or high < 1 else "hold", likely)


def _ends(
    scales: Sequence[float], law: OneImage, moved: Sequence[np.ndarray], again: tuple[np.ndarray, np.ndarray]
) -> tuple[float | None, float | None]:
    """Return the ends of s*: the scale that holds if captions alone are learned, and if images are learned by heart; None beyond."""
    by_heart, told = zip(*(law.replicas(one, *again) for one in moved), strict=True)

    def end(replicas: np.ndarray, share: float) -> float | None:
        found = [critical_scale(scales, growths) if np.isfinite(growths).all() else None for growths in replicas.T]
        known = [
            scale if scale is not None else np.inf if growths[0] <= 1 else -np.inf for scale, growths in zip(found, replicas.T, strict=True)
        ]
        value = float(np.quantile(known, share, method="nearest"))
        return value if np.isfinite(value) else None

    return end(np.stack(told), 0.025), end(np.stack(by_heart), 0.975)
