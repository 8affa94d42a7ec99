"""The judge's words on the arms: the word over seeds in a line, and what each seed's axes say with their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from germline.core.verdict import Axis, AxisName, Verdict, Word
from germline.report.arms import Arm, Group
from germline.report.text import number

SYMBOLS: Mapping[Word, str] = {"improving": "▲", "stable": "■", "unclear": "?", "collapsing": "▼", "diverging": "◆", "too short": "○"}
AXES: tuple[AxisName, ...] = ("fidelity", "diversity", "novelty", "agreement")


@dataclass(frozen=True)
class Ruling:
    """A word and the seeds that it holds for: "2 of 3 seeds", nothing where there is one seed."""

    symbol: str
    word: Word
    seeds: str


@dataclass(frozen=True)
class Finding:
    """What one axis says of one run, in words and numbers; the generation from which the level is another, where there is one."""

    axis: AxisName
    says: str
    numbers: str
    trend: str
    change: str


@dataclass(frozen=True)
class Trial:
    """The verdict on one run."""

    seed: int
    ruling: Ruling
    since: str
    best: int
    findings: tuple[Finding, ...]
    because: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """The verdict on an arm: words, since when, and the best generation over its seeds; and its seeds one by one."""

    arm: Arm
    rulings: tuple[Ruling, ...]
    since: str
    best: str
    trials: tuple[Trial, ...]


def judgements(group: Group, verdicts: Mapping[Path, Verdict]) -> list[Judgement]:
    """Return the judgement on every arm that has a verdict; ``verdicts`` are those of its runs by folder."""
    found = []
    for arm in group.arms:
        judged = {run.seed: verdict for run in arm.runs if (verdict := verdicts.get(run.chain.path))}
        if judged:
            found.append(_judgement(arm, judged))
    return found


def _judgement(arm: Arm, judged: Mapping[int, Verdict]) -> Judgement:
    words, seeds = Counter(verdict.word for verdict in judged.values()).most_common(), len(judged)
    return Judgement(
        arm=arm,
        rulings=tuple(Ruling(SYMBOLS[word], word, f"{n} of {seeds} seeds" if seeds > 1 else "") for word, n in words),
        since=_since([verdict.since for verdict in judged.values()]),
        best=_range([verdict.best for verdict in judged.values()]),
        trials=tuple(_trial(seed, verdict) for seed, verdict in judged.items()),
    )


def _trial(seed: int, verdict: Verdict) -> Trial:
    axes = {axis.name: axis for axis in verdict.axes}
    return Trial(
        seed=seed,
        ruling=Ruling(SYMBOLS[verdict.word], verdict.word, ""),
        since=_since([verdict.since]),
        best=verdict.best,
        findings=tuple(_finding(name, axes.get(name)) for name in AXES),
        because=verdict.because,
    )


def _since(generations: Sequence[int | None]) -> str:
    known = [generation for generation in generations if generation is not None]
    return f"since generation {_range(known)}" if known else ""


def _range(values: Sequence[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _finding(name: AxisName, axis: Axis | None) -> Finding:
    """Return "worse", "coverage 0.4 → 0.2 (real images 0.5)", "-0.05 [-0.06, -0.03] a generation", "from 3 [2, 4]"."""
    if axis is None:
        return Finding(name, "not read", "", "", "")
    real = "" if axis.reference is None else f" (real images {number(axis.reference)})"
    return Finding(
        axis=name,
        says=axis.says,
        numbers=f"{axis.measure} {number(axis.values[0])} → {number(axis.values[-1])}{real}",
        trend=f"{number(axis.trend)} [{number(axis.trend_low)}, {number(axis.trend_high)}] a generation",
        change="" if axis.change is None else f"another level from generation {axis.change} [{axis.change_low}, {axis.change_high}]",
    )
