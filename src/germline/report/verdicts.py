"""The judge's words on the arms, as a table: the word over seeds, and what each axis says with its intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from germline.core.verdict import Axis, AxisName, Verdict, Word
from germline.report.arms import Arm, Group
from germline.report.tables import Table
from germline.report.text import number

SYMBOLS: Mapping[Word, str] = {"improving": "▲", "stable": "■", "collapsing": "▼", "diverging": "◆", "too short": "○"}
AXES: tuple[AxisName, ...] = ("fidelity", "diversity", "novelty", "agreement")


def verdict_table(group: Group, verdicts: Mapping[Path, Verdict]) -> Table | None:
    """Return a row an arm; ``verdicts`` are those of its runs by folder. None where there is none.

    The word and the generations are over seeds, the axes are those of the lowest seed.
    """
    judged = [(arm, found) for arm in group.arms if (found := [v for run in arm.runs if (v := verdicts.get(run.chain.path))])]
    if not judged:
        return None
    rows = tuple((arm.name, *_row(arm, found)) for arm, found in judged)
    return Table(("arm", "verdict", *AXES), rows, rows_of=tuple(arm for arm, _ in judged))


def _row(arm: Arm, found: Sequence[Verdict]) -> tuple[str, ...]:
    words = Counter(verdict.word for verdict in found).most_common()
    seeds = len(found)
    word = ", ".join(f"{SYMBOLS[word]} {word}{f' in {count} of {seeds} seeds' if seeds > 1 else ''}" for word, count in words)
    since = [verdict.since for verdict in found if verdict.since is not None]
    word += f", since generation {_range(since)}" if since else ""
    axes = {axis.name: axis for axis in found[0].axes}
    return (f"{word}; best generation {_range([verdict.best for verdict in found])}", *(_axis(axes.get(name)) for name in AXES))


def _range(values: Sequence[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _axis(axis: Axis | None) -> str:
    """Return "worse: coverage 0.4 → 0.2, -0.05 [-0.06, -0.03] a generation, another level from 3 [2, 4]"."""
    if axis is None:
        return "not read"
    trend = f"{number(axis.trend)} [{number(axis.trend_low)}, {number(axis.trend_high)}] a generation"
    change = "" if axis.change is None else f", another level from {axis.change} [{axis.change_low}, {axis.change_high}]"
    return f"{axis.says}: {axis.measure} {number(axis.values[0])} → {number(axis.values[-1])}, {trend}{change}"
