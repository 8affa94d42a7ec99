"""Tables of a page, comparisons of arms and their rates on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.box import SIMPLE
from rich.table import Table as Terminal

from germline.core.intervals import Interval
from germline.report import glossary
from germline.report.compare import Comparison, caveat
from germline.report.rates import Rate, factor, text
from germline.report.tables import Table
from germline.report.terminal import console
from germline.report.text import number


def print_table(title: str, shown: Table) -> None:
    """Print a table of a page; the first column is left-aligned, the others are numbers."""
    made = Terminal(title=title, title_justify="left")
    for place, head in enumerate(shown.head):
        made.add_column(head, justify="right" if place else "left", no_wrap=True)
    for row in shown.rows:
        made.add_row(*row)
    console.print(made)


def print_comparisons(comparisons: Sequence[Comparison]) -> None:
    """Print a table a metric, a line an arm, in the order of the study; under three seeds means only, and why."""
    for _, same in groupby(comparisons, key=lambda c: (c.metric, c.extractor, c.n, c.k, c.d)):
        found = list(same)
        console.print(_title(found[0]), highlight=False, markup=False)
        if any(arm.value.low is not None for comparison in found for arm in comparison.arms):
            for comparison in found:
                console.print(_tested(comparison))
            if all(arm.arm != found[0].against for arm in found[0].arms):
                console.print(
                    f"  {found[0].against} was not measured so: no differences. Another reference: --against ARM", highlight=False
                )
        else:
            console.print(_means(found))
    if text := caveat(comparisons):
        console.print(text, highlight=False)


def print_rates(found: Sequence[Rate]) -> None:
    """Print the collapse rates, a line an arm and a distance."""
    if not found:
        return
    console.print("Collapse rate: slope of ln(Frechet distance) a generation, generation 0 included; 0.69 doubles it.", highlight=False)
    table = Terminal("arm", box=SIMPLE)
    for column in ("distance", "seeds", "generations", "a generation, 95 %", "factor"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        table.add_row(one.arm, one.metric, str(len(one.seeds)), f"0 to {one.generation}", text(one), factor(one))
    console.print(table)
    if any(one.line for one in found):
        console.print("Of one seed, the interval is by the scatter around its own line; other seeds may differ by more.", highlight=False)


def _tested(comparison: Comparison) -> Terminal:
    differences = any(arm.ordering for arm in comparison.arms)
    table = _table(when(comparison), "95 %", *((f"minus {comparison.against}", "95 %", "which is") if differences else ()))
    for arm in comparison.arms:
        gap = arm.difference
        apart = (number(gap.mean), _range(gap), arm.ordering) if gap is not None and gap.low is not None else ()
        table.add_row(arm.arm, str(arm.value.n), number(arm.value.mean), _range(arm.value), *apart)
    return table


def _means(found: Sequence[Comparison]) -> Terminal:
    table = _table(*map(when, found))
    means = [{arm.arm: number(arm.value.mean) for arm in comparison.arms} for comparison in found]
    for arm in found[0].arms:
        table.add_row(arm.arm, str(arm.value.n), *(mean.get(arm.arm, "") for mean in means))
    return table


def _table(*columns: str) -> Terminal:
    table = Terminal("arm", box=SIMPLE)
    for column in ("seeds", *columns):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def when(comparison: Comparison) -> str:
    """Return which generations are meant."""
    return f"generation {comparison.generation}" if comparison.when == "last" else f"mean of 1 to {comparison.generation}"


def _title(comparison: Comparison) -> str:
    c = comparison
    facts = [c.extractor if c.extractor and c.extractor not in c.metric else ""]
    facts += [f"{name} = {value}" for name, value in (("n", c.n), ("k", c.k), ("d", c.d)) if value is not None]
    return f"{c.metric} ({', '.join(filter(None, facts))}). {glossary.direction(c.better)}"


def _range(interval: Interval) -> str:
    return f"{number(interval.low)} to {number(interval.high)}" if interval.low is not None and interval.high is not None else ""
