"""Comparisons for a page of text: a row an arm, a column a metric at the last generation, as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from germline.core.intervals import Interval
from germline.report.compare import Comparison, Contrast, caveat
from germline.report.text import number


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Return means over seeds with their 95 % t-intervals, then the differences to the reference arm, seed by seed.

    Metrics measured on equally many samples share a table. Under three seeds there is no interval.
    """
    last = sorted((one for one in comparisons if one.when == "last"), key=lambda one: one.n or 0)
    blocks = []
    for n, found in groupby(last, key=lambda one: one.n):
        same = list(found)
        blocks += [f"Generation {same[0].generation}, n = {n}:", _table(same, lambda arm: _interval(arm.value))]
        if any(arm.difference for one in same for arm in one.arms):
            blocks += [f"Minus {same[0].against}:", _table(same, lambda arm: _interval(arm.difference, signed=True))]
    return "\n\n".join([*blocks, caveat(last)]) + "\n"


def _table(comparisons: Sequence[Comparison], cell: Callable[[Contrast], str]) -> str:
    arms = list(dict.fromkeys(arm.arm for one in comparisons for arm in one.arms))
    rows = [[arm, *(_of(one, arm, cell) for one in comparisons)] for arm in arms]
    lines = [["arm", *map(_head, comparisons)], ["---"] * (len(comparisons) + 1), *(row for row in rows if any(row[1:]))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _of(one: Comparison, arm: str, cell: Callable[[Contrast], str]) -> str:
    return next((cell(contrast) for contrast in one.arms if contrast.arm == arm), "")


def _head(one: Comparison) -> str:
    return one.metric if not one.extractor or one.metric.endswith(f"-{one.extractor}") else f"{one.metric} ({one.extractor})"


def _interval(interval: Interval | None, signed: bool = False) -> str:
    if interval is None:
        return ""
    sign = "+" if signed and interval.mean > 0 else ""
    ends = "" if interval.low is None or interval.high is None else f" [{number(interval.low)}, {number(interval.high)}]"
    return f"{sign}{number(interval.mean)}{ends}"
