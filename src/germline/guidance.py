"""From one generation of a run: how much its sampler multiplies what tells classes apart, and which side a chain will take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from jaxtyping import Float64

from germline.chain import Chain
from germline.core.context import Context
from germline.core.displacement import Displacement, Labels, resampled
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool
from germline.core.protocols import Sampler
from germline.core.recipe import Recipe
from germline.core.seeds import rng
from germline.core.splits import Splits
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.metrics.growth import flat
from germline.theory.growth import critical_scale, null_branch_leak
from germline.theory.guided_gaussian import effective_scale

M = TypeVar("M")
SCALES = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
DRAWS = 400
CANDIDATE = GuidanceSchedule("exp_floor", 2.0, 3.0)  # the schedule that is recommended, its start set by s*


@dataclass(frozen=True)
class Range:
    """An estimate with a 95 % interval over rows; None where it lies beyond the scales that were drawn."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class AtScale:
    """The growth of one generation at a guidance scale, and the side that a chain takes at it.

    ``side`` is "blur" below 1, "exaggerate" above 1, and "hold" where the interval holds 1; ``likely`` is the nearer of the two.
    """

    scale: float | None
    growth: float
    low: float
    high: float
    side: str
    likely: str


@dataclass(frozen=True)
class Prediction:
    """What generation 0 says of chains at each guidance scale. The model is ours: theory/growth.py.

    Attributes:
        rows: drawn at each scale.
        classes: classes, or prompts, that were compared.
        h: growth at scale 1, the share of the displacement that training absorbs.
        critical: the scale s* at which the growth is 1.
        scales: growth and side at each scale drawn.
        own: those of the run's own sampler, read off generation 0's samples; its scale is the constant which grows as much, if the
            scales hold it.
        most: the displacement at which every pixel has clipped.
        spread: standard deviation of the training images within their class: the tau at which schedules are matched.
        constant: the scale recommended.
        start: where exp_floor (rate 3, u = step) begins to do as much, where the sampler's noise levels are known.
    """

    rows: int
    classes: int
    h: Range
    critical: Range
    scales: tuple[AtScale, ...]
    own: AtScale
    most: float
    spread: float
    constant: float
    start: float | None


def predict(sampler: Sampler[M], chain: Chain, data: Splits, scales: Sequence[float] = SCALES, rows: int = 300) -> Prediction:
    """Return the prediction of generation 0, from ``rows`` samples of its model at each scale; those are cached beside the run.

    The noise of a row is that of generation 0's samples, so scales differ in nothing else.

    Raises:
        BadInput: the run has no generation, the sampler no guidance scale, or classes or prompts have too few rows.
    """
    if not len(chain):
        raise BadInput(f"{chain.path} has no finished generation: run its first, germline run RECIPE --generations 0 --out {chain.path}")
    if len(scales) < 2 or scales[0] != 1 or sorted(set(scales)) != list(scales):
        raise BadInput(f"Growth is drawn at two rising scales or more, the first of them 1, where it is h; got {list(scales)}.")
    ctx, first = chain.context(0, data), chain[0]
    drawn, training, own_pool = chosen_rows(first.samples, rows), first.training(data), first.samples
    classes = enough(training.condition, own_pool.condition[drawn])
    training, own_pool = among(training, classes), among(own_pool, classes)
    drawn = drawn[np.isin(first.samples.condition[drawn], classes)]
    labels = first.samples.condition[drawn]
    made = [drawn_at(rescaled(sampler, scale), scale, drawn, ctx) for scale in scales]
    along = Displacement.of(flat(training), training.condition, labels)
    shares = np.stack([along.shares(images.reshape(len(drawn), -1) / 127.5 - 1, labels) for images in made])
    again = resampled(labels, DRAWS, rng(0, REAL, "guidance/rows"))
    growths, replicas = shares.sum(axis=1), shares[:, again].sum(axis=2)
    own = along.shares(flat(own_pool), own_pool.condition)
    own_replicas = own[resampled(own_pool.condition, DRAWS, rng(0, REAL, "guidance/own"))].sum(axis=1)
    critical = _critical(scales, growths, replicas)
    at = tuple(_at(scale, growth, replica) for scale, growth, replica in zip(scales, growths, replicas, strict=True))
    constant = critical.value if critical.value is not None else scales[0] if growths[0] > 1 else scales[-1]
    tau = spread(training)
    return Prediction(
        rows=len(drawn),
        classes=len(along.classes),
        h=Range(at[0].growth, at[0].low, at[0].high),
        critical=critical,
        scales=at,
        own=_at(_equal_constant(scales, growths, float(own.sum())), float(own.sum()), own_replicas),
        most=along.most,
        spread=tau,
        constant=constant,
        start=matched_start(sampler, constant, tau),
    )


def observed(chain: Chain, data: Splits) -> list[float]:
    """Return the displacement of every finished generation's samples, in units of what generation 0 was trained on."""
    generations = chain.generations()
    training = generations[0].training(data)
    classes = enough(training.condition, generations[0].samples.condition)
    training = among(training, classes)
    pools = [among(generation.samples, classes) for generation in generations]
    along = [Displacement.of(flat(training), training.condition, pool.condition) for pool in pools]
    return [float(way.shares(flat(pool), pool.condition).sum()) for way, pool in zip(along, pools, strict=True)]


def foretold(growth: float, generations: int, most: float) -> list[float]:
    """Return the displacement after generation 0, 1, ...: growth^(k+1), until images clip. Ours."""
    return [min(growth ** (number + 1), most) if growth > 0 else 0.0 for number in range(generations)]


def side_of(displacements: Sequence[float]) -> str | None:
    """Return the side that a chain took: whether its displacement rose or fell from generation 0 to the last; None of one generation."""
    return None if len(displacements) < 2 else "exaggerate" if displacements[-1] > displacements[0] else "blur"


def rescaled(sampler: Sampler[M], scale: float) -> Sampler[M]:
    """Return the sampler at a constant guidance scale, inside whatever wraps it.

    Raises:
        BadInput: it has none.
    """
    fields: set[str] = {field.name for field in dataclasses.fields(sampler)} if dataclasses.is_dataclass(sampler) else set()
    if "guidance_scale" in fields:
        return dataclasses.replace(sampler, guidance_scale=scale)  # type: ignore[type-var]
    if "sampler" in fields:
        return dataclasses.replace(sampler, sampler=rescaled(sampler.sampler, scale))  # type: ignore[type-var, attr-defined]
    raise BadInput(f"{type(sampler).__name__} has no guidance_scale, so there is no growth at other scales to predict from.")


def chosen_rows(samples: Pool, rows: int) -> np.ndarray:
    """Return ``rows`` row numbers of the samples, in order, drawn by a fixed seed: the first rows may all be of one class."""
    return np.sort(rng(0, REAL, "guidance/chosen").permutation(len(samples))[:rows])


def among(pool: Pool, classes: Labels) -> Pool:
    """Return the rows of these classes."""
    return pool.take(np.flatnonzero(np.isin(pool.condition, classes)))


def enough(training: Labels, drawn: Labels) -> Labels:
    """Return the classes, or prompts, that have two rows or more both in training and drawn.

    Raises:
        BadInput: fewer than two have.
    """
    often = [set(values[counts > 1].tolist()) for values, counts in (np.unique(x, return_counts=True) for x in (training, drawn))]
    found = sorted(often[0] & often[1])
    if len(found) < 2:
        what = "prompts" if np.issubdtype(training.dtype, np.str_) else "classes"
        raise BadInput(
            f"Growth is read off the mean images of {what}, and cannot be here: {len(found)} of them have two rows or more both in"
            f" training and among the {len(drawn)} drawn. Draw more with --rows, or give data in which {what} repeat."
        )
    return np.array(found)


def drawn_at(sampler: Sampler[M], scale: float, rows: np.ndarray, ctx: Context) -> np.ndarray:
    """Return generation 0's samples of these rows at a scale, kept in the cache beside the run; its records stay as they are."""
    first = ctx.generations[0]
    of = f"guidance at {scale:g} of {first.digest}: {len(rows)} rows"
    model: M = first.model  # type: ignore[assignment]
    return ctx.once(sampler, lambda: {"images": sampler(model, rows, ctx).images[:]}, of)["images"]


def leak(recipe: Recipe[M], chain: Chain, data: Splits, rows: int = 300) -> float | None:
    """Return how far fine-tuning moved unconditional samples from the base's towards its data; None where no base precedes the chain."""
    base = getattr(getattr(recipe.founder, "base", None), "model", None)
    if not callable(base):
        return None
    ctx, first, sampler = chain.context(0, data), chain[0], rescaled(recipe.sampler, 0.0)
    drawn = chosen_rows(first.samples, rows)
    tuned = drawn_at(sampler, 0.0, drawn, ctx)
    of = f"guidance, base of {first.digest}: {len(drawn)} rows"
    before = ctx.once(sampler, lambda: {"images": sampler(base(ctx), drawn, ctx).images[:]}, of)["images"]
    u, u0 = (images.reshape(len(images), -1).mean(axis=0) / 127.5 - 1 for images in (tuned, before))
    return null_branch_leak(u, u0, flat(first.training(data)).mean(axis=0))


def spread(pool: Pool) -> float:
    """Return the standard deviation of values from -1 to 1 within their class, a root mean square over values and rows."""
    x, (_, place) = flat(pool), np.unique(pool.condition, return_inverse=True)
    means = np.stack([x[place == number].mean(axis=0) for number in range(place.max() + 1)])
    return float(np.sqrt(np.square(x - means[place]).mean()))


def matched_start(sampler: object, scale: float, tau: float) -> float | None:
    """Return the start at which ``CANDIDATE`` has s_eff(tau) = scale over the sampler's levels; None where those are not known."""
    inner = getattr(sampler, "sampler", sampler)
    sigmas = getattr(inner, "sigmas", None)
    if not callable(sigmas) or scale < 1 or tau <= 0:
        return None
    grid = [float(sigma) for sigma in sigmas()]
    # exp_floor is 1 + (start - 1) e^(-a u), so s_eff - 1 is proportional to start - 1.
    return 1 + (scale - 1) / (effective_scale(CANDIDATE.of(grid), tau, grid) - 1)


def _at(scale: float | None, growth: float, replicas: Float64[np.ndarray, " draws"]) -> AtScale:
    low, high = map(float, np.quantile(replicas, (0.025, 0.975)))
    likely = "exaggerate" if growth > 1 else "blur"
    return AtScale(scale, float(growth), low, high, likely if low > 1 or high < 1 else "hold", likely)


def _critical(scales: Sequence[float], growths: Sequence[float], replicas: Float64[np.ndarray, "scales draws"]) -> Range:
    found = [_beyond(scales, replica) for replica in replicas.T]
    low, high = np.quantile(found, (0.025, 0.975), method="nearest")  # not between two: one may lie beyond the scales
    return Range(critical_scale(scales, growths), *(float(end) if math.isfinite(end) else None for end in (low, high)))


def _beyond(scales: Sequence[float], growths: Sequence[float]) -> float:
    found = critical_scale(scales, growths)
    return found if found is not None else -math.inf if growths[0] > 1 else math.inf


def _equal_constant(scales: Sequence[float], growths: Sequence[float], growth: float) -> float | None:
    if not growths[0] <= growth <= max(growths) or any(a >= b for a, b in pairwise(growths)):
        return None
    return float(np.interp(growth, growths, scales))
