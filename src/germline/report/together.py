"""Which measures order the arms as the Frechet distance does: rank correlations across arms, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from germline.core.intervals import Interval, over_seeds
from germline.report import glossary
from germline.report.arms import Group, Run
from germline.report.compare import FIRST
from germline.report.tables import Table

FEWEST = 5  # of four arms, one order in twelve is as good as perfect by chance
What = tuple[str, str | None, int | None, int | None, int | None]


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation, across ``arms``, of a measure of the samples with a Frechet distance, the mean over seeds.

    The interval is over seeds (t); the arms are those of the study and no sample of anything, so it says nothing about other arms.
    """

    metric: str
    extractor: str | None
    k: int | None
    distance: str
    arms: int
    rho: Interval


def correlations(group: Group) -> list[Correlation]:
    """Return the correlations with the first Frechet distance at the last generation that all runs have; none under five arms.

    A measure is compared in the arms in which both it and the distance were measured on their usual number of samples.
    """
    last = min(arm.length for arm in group.arms) - 1
    seeds = sorted(set.intersection(*({run.seed for run in arm.runs} for arm in group.arms)))
    measured = {seed: [_values(_of(arm.runs, seed), last) for arm in group.arms] for seed in seeds}
    every = [values for arms in measured.values() for values in arms]
    known = sorted({what for values in every for what in values}, key=lambda what: (glossary.rank(what[0]), str(what)))
    usual = {what: sum(what in values for values in every) for what in known}
    distance = max((what for what in known if what[0].startswith(FIRST)), key=lambda what: usual[what], default=None)
    found = [_correlation(what, distance, measured) for what in known if distance and not what[0].startswith(FIRST)]
    return [one for one in found if one is not None]


def table_of(found: Sequence[Correlation]) -> Table | None:
    """Return the correlations as a table, a row a measure; None where there are none."""
    if not found:
        return None
    rows = tuple((_title(one), _text(one.rho), str(one.arms)) for one in found)
    return Table(("measure", f"rank correlation with {glossary.title(found[0].distance)}", "arms"), rows)


def _of(runs: Sequence[Run], seed: int) -> Run:
    return next(run for run in runs if run.seed == seed)


def _values(run: Run, generation: int) -> dict[What, float]:
    return {(v.name, v.extractor, v.n, v.k, v.d): v.value for v in run.values[generation] if v.of == "samples"}


def _correlation(what: What, distance: What, measured: dict[int, list[dict[What, float]]]) -> Correlation | None:
    from scipy.stats import rankdata  # slow to import, and it looks for torch

    rhos, most = [], 0
    for arms in measured.values():
        pairs = [(values[what], values[distance]) for values in arms if what in values and distance in values]
        if len(pairs) < FEWEST:
            return None
        ranks = [rankdata(side) for side in zip(*pairs, strict=True)]
        if any(np.ptp(side) == 0 for side in ranks):
            return None
        rhos.append(float(np.corrcoef(ranks)[0, 1]))
        most = max(most, len(pairs))
    return Correlation(what[0], what[1], what[3], distance[0], most, over_seeds(rhos)) if rhos else None


def _title(one: Correlation) -> str:
    facts = ", ".join(fact for fact in (one.extractor or "", f"k = {one.k}" if one.k else "") if fact)
    return glossary.title(one.metric) + (f" ({facts})" if facts else "")


def _text(rho: Interval) -> str:
    """Return "+0.67 [+0.64, +0.70]", the ends within -1 to 1, with real minus signs."""
    ends = "" if rho.low is None or rho.high is None else f" [{max(rho.low, -1.0):+.2f}, {min(rho.high, 1.0):+.2f}]"
    return f"{rho.mean:+.2f}{ends}".replace("-", "\N{MINUS SIGN}")
