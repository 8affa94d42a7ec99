"""The judge: improving, stable, unclear, collapsing or diverging. It sees images and conditions only, and never decides by one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from germline.core.context import Context
from germline.core.protocols import Extractor
from germline.core.trend import change_point, trend
from germline.core.verdict import Axis, Says, Verdict, Word
from germline.readings import Classifier, Reading, Step, read

RETRAINING = 1.5  # the noise of training again, in units of the metric noise of one generation (ours, fixed on tuning chains)
SURE = 0.002  # two-sided p-value of a trend that counts
HINT = 0.05  # p-value of a trend that is told though it does not count
SHORTEST = 4  # generations; fewer are judged only when they would be judged the same at a hundredth of SURE
OVERSHOOT = ("log neighbour distance", "log spread")  # more of these than real data has is drift, not diversity
BAD: tuple[Word, ...] = ("collapsing", "diverging")


def verdict(steps: Sequence[Step], ctx: Context, space: Extractor, classifier: Classifier | None = None) -> Verdict:
    """Return the verdict on a chain of at least two generations, and since when it holds.

    Fidelity, diversity, novelty and agreement are judged apart, each by several measures. A measure speaks if its trend is certain
    (beyond metric noise and the chain's own scatter) and its change material. The word needs two measures that agree; where something
    is worse and no second measure agrees, the word is "unclear": no alarm, and no health. All of it ours.
    """
    readings = read(steps, ctx, space, classifier)
    final = conclude(readings)
    since = None
    if final.word in BAD:
        since = len(steps) - 1
        while since > 1 and conclude(first(readings, since)).word in BAD:
            since -= 1
    return replace(final, since=since)


def first(readings: Sequence[Reading], generations: int) -> list[Reading]:
    """Return the readings of the first generations only."""
    return [replace(r, values=r.values[:generations], noise=r.noise[:generations]) for r in readings]


def conclude(readings: Sequence[Reading]) -> Verdict:
    """Return the verdict on readings; ``since`` is left open."""
    generations = len(readings[0].values)
    sure = SURE if generations >= SHORTEST else SURE / 100
    said = [(reading, says(reading, sure)) for reading in readings]
    word = _word(said) if generations > 1 else "too short"
    if generations < SHORTEST and word not in BAD:
        word = "too short"
    because = tuple(_sentence(reading, what) for reading, what in said if what != "steady")
    because += tuple(f"not certain: {_sentence(r, hint)}" for r, what in said if what == "steady" and (hint := says(r, HINT)) != "steady")
    names = dict.fromkeys(reading.axis for reading in readings)
    axes = tuple(_axis([(r, what) for r, what in said if r.axis == name]) for name in names)
    return Verdict(word, axes, _best(readings), generations, because=because)


def says(reading: Reading, sure: float = SURE) -> Says:
    """Return what one measure says: better, steady, worse, or that it overshoots what real data has."""
    if len(reading.values) < 2:
        return "unknown"
    line = trend(reading.values, _noise(reading))
    change = line.slope * (len(reading.values) - 1)
    if line.p > sure or abs(change) < reading.material:
        return "steady"
    up = change > 0
    if reading.name in OVERSHOOT or reading.axis == "novelty":
        return _against(reading, up)
    return "better" if up == (reading.better == "high") else "worse"


def _against(reading: Reading, up: bool) -> Says:
    """Return what a measure says whose goal is the level of real data: noise that falls lowers it too, and that is no loss.

    Only what ends beyond that level, by half of what is material and two standard errors, is worse (or overshoots); what comes
    nearer to it is better.
    """
    start, end = reading.values[0] - reading.reference, reading.values[-1] - reading.reference
    beyond = abs(end) > reading.material / 2 + 2 * reading.noise[-1]
    if beyond and up == (end > 0):
        if up != (reading.better == "high"):
            return "worse"
        return "overshoots" if reading.name in OVERSHOOT else "steady"
    return "better" if abs(end) < abs(start) else "steady"


def _word(said: Sequence[tuple[Reading, Says]]) -> Word:
    worse = [reading for reading, what in said if what == "worse"]
    over = [reading for reading, what in said if what == "overshoots"]
    better = [reading for reading, what in said if what == "better"]
    lost = [reading for reading in worse if reading.axis in ("diversity", "novelty")]
    # Samples that lie closer together are a collapse even where the whole spreads: guidance drives the classes apart while each contracts.
    closer = any(reading.name == "log neighbour distance" or reading.axis == "novelty" for reading in lost)
    shrinks = closer or any(reading.name == "log spread" for reading in lost) or len(lost) >= 2
    if len(worse) + len(over) >= 2 and worse:
        return "collapsing" if closer or (shrinks and not over) else "diverging"
    if len(better) >= 2 and not worse and not over:
        return "improving"
    return "unclear" if worse or over else "stable"


def _axis(said: Sequence[tuple[Reading, Says]]) -> Axis:
    """Return an axis, shown by the measure that speaks; by its first one where none does."""
    reading, what = next(((r, w) for r, w in said if w in ("worse", "overshoots")), None) or next(
        ((r, w) for r, w in said if w == "better"), said[0]
    )
    ends = [(v - 1.96 * e, v + 1.96 * e) for v, e in zip(reading.values, reading.noise, strict=True)]
    line = trend(reading.values, _noise(reading)) if len(reading.values) > 1 else None
    where = change_point(reading.values, _noise(reading)) if what not in ("steady", "unknown") else None
    return Axis(
        name=reading.axis,
        measure=reading.name,
        says=what,
        values=reading.values,
        low=tuple(low for low, _ in ends),
        high=tuple(high for _, high in ends),
        better=reading.better,
        trend=line.slope if line else 0.0,
        trend_low=line.low if line else float("-inf"),
        trend_high=line.high if line else float("inf"),
        reference=None if np.isnan(reading.reference) else reading.reference,
        change=where.at if where else None,
        change_low=where.low if where else None,
        change_high=where.high if where else None,
    )


def _best(readings: Sequence[Reading]) -> int:
    """Return the generation of lowest mean rank, every axis counting the same; the earliest of equals."""
    axes: dict[str, list[np.ndarray]] = {}
    for reading in readings:
        values = np.asarray(reading.values)
        bad = np.abs(values - reading.reference) if reading.name in OVERSHOOT else values if reading.better == "low" else -values
        axes.setdefault(reading.axis, []).append(np.argsort(np.argsort(bad, kind="stable"), kind="stable"))
    return int(np.mean([np.mean(ranks, axis=0) for ranks in axes.values()], axis=0).argmin())


def _noise(reading: Reading) -> float:
    return RETRAINING * float(np.sqrt(np.mean(np.square(reading.noise))))


def _sentence(reading: Reading, what: Says) -> str:
    real = "" if np.isnan(reading.reference) else f" (real {reading.reference:.3g})"
    return f"{reading.name} {what}: {reading.values[0]:.3g} to {reading.values[-1]:.3g}{real}"
