"""What the judge reads off images and conditions: several measures of each thing that a model can lose, with their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from germline.core.balls import held_by
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.neighbours import nearest
from germline.core.pool import Pool
from germline.core.protocols import Extractor
from germline.core.verdict import AxisName
from germline.metrics.frechet import Moments

COPY = 0.05  # share of held-out real rows that lie as near to the real rows as what is called a copy
REACH = 5  # neighbours of a held-out row that its ball reaches
DRAWS = 16  # of the bootstrap of a Frechet distance


class Classifier(Protocol):
    """Tells classes apart; fitted on the judge split."""

    def predict(self, pool: Pool, ctx: Context) -> Int[np.ndarray, " n"]:
        """Return the class of every row."""
        ...


@dataclass(frozen=True)
class Step:
    """One generation as the judge sees it: samples, and the rows it was trained on where they are known."""

    samples: Pool
    training: Pool | None = None


@dataclass(frozen=True)
class Reading:
    """One measure over the generations; ``noise`` is the standard error of a value by its rows alone (metric noise).

    ``material`` is the change that matters, in the measure's own unit: smaller trends are no finding, however certain.
    """

    axis: AxisName
    name: str
    values: tuple[float, ...]
    noise: tuple[float, ...]
    better: Literal["high", "low"]
    reference: float
    material: float


def read(steps: Sequence[Step], ctx: Context, space: Extractor, classifier: Classifier | None = None) -> list[Reading]:
    """Return every reading of the steps. Only images and conditions are looked at; ``ctx`` gives the real splits and the features.

    ``space`` is where distances are measured. ``classifier`` tells whether rows show what they were asked to show; without it, or
    where conditions are prompts, agreement and lost classes are not read.
    """
    real = _Real(ctx, space)
    rows = [_row(step, real, ctx, space, classifier) for step in steps]
    return [
        Reading(
            cell.axis,
            cell.name,
            tuple(row[i].value for row in rows),
            tuple(row[i].noise for row in rows),
            cell.better,
            cell.reference,
            max(row[i].material for row in rows[:1]),
        )
        for i, cell in enumerate(rows[0])
    ]


@dataclass(frozen=True)
class _Cell:
    axis: AxisName
    name: str
    value: float
    noise: float
    better: Literal["high", "low"]
    reference: float
    material: float


class _Real:
    """What is known of the real rows, once a chain."""

    def __init__(self, ctx: Context, space: Extractor) -> None:
        self.held_out, self.real = ctx.data.held_out, ctx.data.real
        if len(self.held_out) <= REACH:
            raise BadInput(
                f"The judge needs more than {REACH} held-out rows, but {ctx.data.name} has {len(self.held_out)}; give more real images."
            )
        self.x, self.r = (ctx.features(space, pool).astype(np.float64) for pool in (self.held_out, self.real))
        self.radii = nearest(self.x, self.x, REACH, exclude_self=True)[1]
        to_real = nearest(self.x, self.r)[1][:, 0]
        self.copy = float(np.quantile(to_real, COPY))
        self.novelty = float(np.log(np.maximum(to_real, 1e-9)).mean())
        self.pixel_novelty = float(_log_distance(_pixels(self.held_out), _pixels(self.real)).mean())

    def like(self, asked: np.ndarray) -> Int[np.ndarray, " rows"]:
        """Return the held-out rows that have the class mix of ``asked``, so that a changed mix is no finding."""
        have = self.held_out.condition
        classes, counts = np.unique(asked, return_counts=True)
        stock = np.array([(have == label).sum() for label in classes])
        if not np.issubdtype(have.dtype, np.integer) or (stock == 0).any():
            return np.arange(len(have))
        take = np.floor(counts * (stock / counts).min() + 1e-9).astype(int)
        rows = [np.flatnonzero(have == label)[:n] for label, n in zip(classes, take, strict=True)]
        return np.sort(np.concatenate(rows))


def _row(step: Step, real: _Real, ctx: Context, space: Extractor, classifier: Classifier | None) -> list[_Cell]:
    s = ctx.features(space, step.samples).astype(np.float64)
    same = real.like(step.samples.condition)
    x, radii = real.x[same], real.radii[same]
    cells = [_distance(s, x, real.r), _precision(s, x, radii), *_diversity(s, x, radii, real.r)]
    cells += _novelty(step, s, real, ctx, space)
    told = np.issubdtype(step.samples.condition.dtype, np.integer) and step.samples.condition.min() >= 0  # adopted rows may be unlabelled
    if classifier is not None and told:
        cells += _classes(step.samples, s, real, ctx, classifier)
    return cells


def _distance(s: np.ndarray, x: np.ndarray, r: np.ndarray) -> _Cell:
    """Frechet distance to the held-out rows; a change by a third of it, or by the level of real rows, matters."""
    target, level = Moments.of(x), Moments.of(r).distance(Moments.of(x))
    value = Moments.of(s).distance(target)
    rng = np.random.default_rng(0)
    draws = [Moments.of(s[rng.integers(len(s), size=len(s))]).distance(target) for _ in range(DRAWS)]
    return _Cell("fidelity", "Frechet distance", value, float(np.std(draws)), "low", level, max(value / 3, level))


def _precision(s: np.ndarray, x: np.ndarray, radii: np.ndarray) -> _Cell:
    """Share of samples inside the 5-NN balls of held-out rows (arXiv 1904.06991)."""
    inside = held_by(s, x, radii[:, -1]) > 0
    return _share("fidelity", "precision", inside, 0.1, reference=float("nan"))


def _diversity(s: np.ndarray, x: np.ndarray, radii: np.ndarray, r: np.ndarray) -> list[_Cell]:
    """Coverage of held-out rows, neighbour entropy a dimension, and spread: the last two can overshoot what real data has."""
    reached = nearest(x, s)[1][:, 0] < radii[:, 0]
    level = float((nearest(x, r[: len(s)])[1][:, 0] < radii[:, 0]).mean())
    coverage = _share("diversity", "coverage", reached, 0.0, level)
    cells = [_replace(coverage, material=max(0.2 * coverage.value, 0.03))]
    logs = [np.log(np.maximum(nearest(rows, rows, 1, exclude_self=True)[1][:, 0], 1e-9)) for rows in (s, r[: len(s)])]
    cells.append(_mean("diversity", "log neighbour distance", logs[0], float(logs[1].mean()), 0.1))
    squares = [np.square(rows - rows.mean(axis=0)).sum(axis=1) for rows in (s, r)]
    spread, error = float(squares[0].mean()), float(squares[0].std() / np.sqrt(len(s)))
    log_error = error / max(spread, 1e-12)
    reference = float(np.log(max(squares[1].mean(), 1e-12)))
    cells.append(_Cell("diversity", "log spread", float(np.log(max(spread, 1e-12))), log_error, "high", reference, 0.15))
    return cells


def _novelty(step: Step, s: np.ndarray, real: _Real, ctx: Context, space: Extractor) -> list[_Cell]:
    """Distance of samples to the nearest row that the model saw; to the nearest real row where that is not known."""
    known = step.training if step.training is not None else real.real
    what = "training" if step.training is not None else "real"
    t = real.r if step.training is None else ctx.features(space, known).astype(np.float64)
    near = nearest(s, t)[1][:, 0]
    pixel = _log_distance(_pixels(step.samples), _pixels(known))
    return [
        _share("novelty", f"copies of {what} rows", near < real.copy, 0.1, COPY, better="low"),
        _mean("novelty", f"log pixel distance to {what} rows", pixel, real.pixel_novelty, 0.1),
    ]


def _classes(samples: Pool, s: np.ndarray, real: _Real, ctx: Context, classifier: Classifier) -> list[_Cell]:
    """Label agreement; the rarest class of the predictions and the coverage of the worst class show a class that is lost."""
    said, truth = classifier.predict(samples, ctx), real.held_out.condition
    right = float((classifier.predict(real.held_out, ctx) == truth).mean())
    agreement = _share("agreement", "agreement", said == samples.condition, 0.07, right)
    labels = np.unique(truth)
    shares = np.array([(said == label).mean() / (truth == label).mean() for label in labels])
    rarest = float(min(shares.min(), 1.0))
    expected = len(samples) * min(float((truth == label).mean()) for label in labels)
    reached = nearest(real.x, s)[1][:, 0] < real.radii[:, -1]
    worst = min(float(reached[truth == label].mean()) for label in labels)
    size = min(int((truth == label).sum()) for label in labels)
    return [
        agreement,
        _Cell("diversity", "rarest class", rarest, 1 / np.sqrt(max(expected, 1)), "high", 1.0, 0.5),
        _Cell("diversity", "coverage of the worst class", worst, 0.5 / np.sqrt(size), "high", 1.0, 0.3),
    ]


def _pixels(pool: Pool) -> Float[np.ndarray, "n p"]:
    return np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)


def _log_distance(query: Float[np.ndarray, "n d"], base: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " n"]:
    out: np.ndarray = np.log(np.maximum(nearest(query, base)[1][:, 0], 1e-9))
    return out


def _share(
    axis: AxisName, name: str, hits: Bool[np.ndarray, " n"], material: float, reference: float, better: Literal["high", "low"] = "high"
) -> _Cell:
    p = (hits.sum() + 0.5) / (len(hits) + 1)
    return _Cell(axis, name, float(hits.mean()), float(np.sqrt(p * (1 - p) / len(hits))), better, reference, material)


def _mean(axis: AxisName, name: str, values: Float[np.ndarray, " n"], reference: float, material: float) -> _Cell:
    return _Cell(axis, name, float(values.mean()), float(values.std() / np.sqrt(len(values))), "high", reference, material)


def _replace(cell: _Cell, material: float) -> _Cell:
    return _Cell(cell.axis, cell.name, cell.value, cell.noise, cell.better, cell.reference, material)
