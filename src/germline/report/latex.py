"""Comparisons for a paper: arms x generations, mean and interval over seeds, as a LaTeX table."""

from __future__ import annotations

from collections.abc import Sequence

from germline.core.intervals import ENOUGH, Interval, over_seeds
from germline.report.compare import Key, R, arms_of, points_of, rank_of

SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def escaped(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def latex(runs: Sequence[R], metrics: Sequence[str] = ()) -> str:
    """Return a tabular of booktabs for each metric: a row an arm, a column a generation; mean, and half the 95 % t-interval over seeds.

    Under three seeds there is no interval. The arms stand in the order given, and nothing is set in bold: the table states no order.

    Args:
        runs: of one data set.
        metrics: names; the headline metrics when none is given.
    """
    arms = {name: [points_of(run, metrics) for run in same] for name, same in arms_of(runs).items()}
    keys = sorted({key for same in arms.values() for run in same for key in run}, key=rank_of)
    last = max((g for same in arms.values() for run in same for at in run.values() for g in at), default=-1)
    head = " & ".join(["arm", *map(str, range(last + 1))])
    lines = ["% needs \\usepackage{booktabs}", f"\\begin{{tabular}}{{l{'r' * (last + 1)}}}", "\\toprule", f"{head} \\\\"]
    for key in keys:
        lines += ["\\midrule", f"\\multicolumn{{{last + 2}}}{{l}}{{{escaped(_title(key))}}} \\\\"]
        for name, same in arms.items():
            values = [[run[key][g] for run in same if g in run.get(key, {})] for g in range(last + 1)]
            if any(values):
                lines.append(" & ".join([escaped(name), *(_cell(over_seeds(of)) if of else "" for of in values)]) + " \\\\")
    seeds = sorted({len(same) for same in arms.values()})
    said = f"mean over {' or '.join(map(str, seeds))} seeds, $\\pm$ half the 95\\,\\% $t$-interval" if seeds and seeds[-1] >= ENOUGH else ""
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", f"% {said or 'too few seeds for an interval: no ordering of arms'}", ""])


def _title(key: Key) -> str:
    facts = [key.extractor if key.extractor and key.extractor not in key.metric else None, *_sizes(key)]
    return f"{key.metric} ({', '.join(filter(None, facts))})" if any(facts) else key.metric


def _sizes(key: Key) -> list[str | None]:
    return [f"{name} = {value}" if value is not None else None for name, value in (("n", key.n), ("k", key.k), ("d", key.d))]


def _cell(interval: Interval) -> str:
    digits = _digits(interval.mean)
    if interval.low is None or interval.high is None:
        return f"${interval.mean:.{digits}f}$"
    return f"${interval.mean:.{digits}f} \\pm {(interval.high - interval.low) / 2:.{digits}f}$"


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3
