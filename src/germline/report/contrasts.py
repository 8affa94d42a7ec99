"""The paired differences of arms to a reference arm, as a table."""

from __future__ import annotations

from dataclasses import dataclass

from germline.report import glossary
from germline.report.arms import Group
from germline.report.compare import Comparison, Contrast, caveat, compare
from germline.report.tables import Table
from germline.report.text import number


@dataclass(frozen=True)
class Contrasts:
    """A row an arm, a column a metric at the last generation; ``against`` is the reference arm, ``note`` how far the seeds carry."""

    against: str
    table: Table
    note: str


def contrasts(group: Group) -> Contrasts | None:
    """Return the differences at the last generation; None where there are not two arms measured alike."""
    found = compare([run for arm in group.arms for run in arm.runs])
    last = [one for one in found if one.when == "last" and any(arm.difference for arm in one.arms)]
    if not last:
        return None
    names = list(dict.fromkeys(arm.arm for one in last for arm in one.arms if arm.difference))
    rows = tuple((name, *(_cell(one, name) for one in last)) for name in names)
    own = {arm.name: arm for arm in group.arms}
    return Contrasts(last[0].against, Table(("arm", *map(_head, last)), rows, rows_of=tuple(own.get(name) for name in names)), caveat(last))


def _head(one: Comparison) -> str:
    facts = ", ".join(fact for fact in (one.extractor or "", f"n = {one.n}" if one.n else "") if fact)
    return f"{glossary.title(one.metric)} ({facts})" if facts else glossary.title(one.metric)


def _cell(one: Comparison, name: str) -> str:
    contrast = next((arm for arm in one.arms if arm.arm == name), None)
    return "" if contrast is None else difference_text(contrast)


def difference_text(contrast: Contrast) -> str:
    """Return "+3.1 [1.2, 5.0], higher"; without interval and ordering under three seeds."""
    gap = contrast.difference
    if gap is None:
        return ""
    mean = f"+{number(gap.mean)}" if gap.mean > 0 else number(gap.mean)
    if gap.low is None or gap.high is None:
        return mean
    return f"{mean} [{number(gap.low)}, {number(gap.high)}], {contrast.ordering}"
