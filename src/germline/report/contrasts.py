"""The paired differences of arms to a reference arm, as tables: one for each number of samples that arms were measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from germline.report import glossary
from germline.report.arms import Arm, Group, Run
from germline.report.compare import Comparison, Contrast, arms_of, caveat, compare
from germline.report.tables import Table
from germline.report.text import count, number

ROUNDING = 1e-12  # of a value: differences below it are those of the order of summation
Comparable = tuple[str, str | None, int | None, int | None, int | None]


@dataclass(frozen=True)
class Differences:
    """A row an arm, a column a metric at the last generation; ``against`` is the reference arm, ``why`` says why it is not the first's."""

    against: str
    table: Table
    why: str


@dataclass(frozen=True)
class Contrasts:
    """The tables; ``left_out`` names arms that are in none, ``note`` says how far the seeds carry."""

    parts: tuple[Differences, ...]
    left_out: str
    note: str

    @property
    def against(self) -> str:
        """The first table's reference arm."""
        return self.parts[0].against


def contrasts(group: Group) -> Contrasts | None:
    """Return the differences at the last generation; None where there are not two arms measured alike.

    Values on other numbers of samples are not compared. So arms that draw more than the reference arm, of which some metric has no
    difference, are compared among themselves in a table of their own: with their control, where a recipe says that it is one, else with
    the first.
    """
    runs, own = [run for arm in group.arms for run in arm.runs], {arm.name: arm for arm in group.arms}
    parts: list[Differences] = []
    used: list[Comparison] = []
    done: set[Comparable] = set()
    alone: list[str] = []
    while runs:
        against = _control(runs) if done else None
        found = [one for one in compare(runs, against) if one.when == "last"]
        fresh = [one for one in found if _what(one) not in done and any(arm.difference for arm in one.arms)]
        apart = list(dict.fromkeys(arm.arm for one in found if not _has_reference(one) for arm in one.arms))
        if fresh:
            parts.append(_differences(fresh, own, parts))
            used += fresh
            done |= {_what(one) for one in fresh}
        elif found:
            alone.append(found[0].against)
        runs = _of(runs, [name for name in apart if name != found[0].against])
    if not parts:
        return None
    return Contrasts(tuple(parts), _left_out([name for name in alone if name not in _names(parts)]), caveat(used))


def _control(runs: Sequence[Run]) -> str | None:
    """Return the name of the first arm that was measured and whose recipe's source is that it is a control."""
    for name, same in arms_of(runs).items():
        parts = same[0].config["parts"]
        if isinstance(parts, dict) and parts.get("source") == "control" and any(any(run.values) for run in same):
            return name
    return None


def _what(one: Comparison) -> Comparable:
    return one.metric, one.extractor, one.n, one.k, one.d


def _has_reference(one: Comparison) -> bool:
    return any(arm.arm == one.against for arm in one.arms)


def _of(runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    return [run for name, same in arms_of(runs).items() if name in names for run in same]


def _names(parts: Sequence[Differences]) -> set[str]:
    return {name for part in parts for name in (part.against, *(row[0] for row in part.table.rows))}


def _left_out(names: Sequence[str]) -> str:
    if not names:
        return ""
    verb, whose = ("is", "its") if len(names) == 1 else ("are", "their")
    return f"{', '.join(names)} {verb} in no table: no other arm was measured on {whose} number of samples."


def _differences(found: Sequence[Comparison], own: dict[str, Arm], earlier: Sequence[Differences]) -> Differences:
    names = list(dict.fromkeys(arm.arm for one in found for arm in one.arms if arm.difference))
    rows = tuple((name, *(_cell(one, name) for one in found)) for name in names)
    table = Table(("arm", *(head_of(one, found) for one in found)), rows, rows_of=tuple(own.get(name) for name in names))
    against, sizes = found[0].against, sorted({one.n for one in found if one.n is not None})
    why = ""
    if earlier:
        on = f" on {' and '.join(map(count, sizes))} samples" if sizes else ""
        why = f"These arms were measured{on}, {earlier[0].against} was not: so they are compared among themselves, with {against}."
    return Differences(against, table, why)


def head_of(one: Comparison, found: Sequence[Comparison]) -> str:
    """Return a metric's name with its extractor and number of samples, and k where the metric is there at several."""
    neighbours = {other.k for other in found if other.metric == one.metric}
    k = f"k = {one.k}" if len(neighbours) > 1 else ""
    facts = ", ".join(fact for fact in (one.extractor or "", k, f"n = {one.n}" if one.n else "") if fact)
    return f"{glossary.title(one.metric)} ({facts})" if facts else glossary.title(one.metric)


def _cell(one: Comparison, name: str) -> str:
    contrast = next((arm for arm in one.arms if arm.arm == name), None)
    return "" if contrast is None else difference_text(contrast)


def difference_text(contrast: Contrast) -> str:
    """Return "+3.1 [1.2, 5.0], higher"; without interval and ordering under three seeds."""
    gap = contrast.difference
    if gap is None:
        return ""
    size = 0.0 if abs(gap.mean) < ROUNDING * abs(contrast.value.mean) else gap.mean
    mean = f"+{number(size)}" if size > 0 else number(size)
    if gap.low is None or gap.high is None:
        return mean
    return f"{mean} [{number(gap.low)}, {number(gap.high)}], {contrast.ordering}"
