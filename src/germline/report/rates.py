"""How fast chains collapse: the slope of the logarithm of the Frechet distance over the generations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, log

import numpy as np
from scipy.special import stdtrit

from germline.core.digest import Json
from germline.core.intervals import Interval, over_seeds
from germline.report.compare import FIRST, Key, Measured, R, arms_of, points_of
from germline.report.tables import Table
from germline.report.text import count, number

FEWEST = 3  # generations: a line through two has no scatter


@dataclass(frozen=True)
class Rate:
    """Of an arm, the mean over its ``seeds`` of the slope of ln(distance) a generation, from generation 0 to ``generation``.

    0.69 doubles the distance in every generation. From three seeds on, ``low`` and ``high`` of ``slope`` are its t-interval over seeds.
    Of one seed, ``line`` holds the ends of the slope's interval by the scatter around its own line: other generations of the same
    chain, not other seeds.
    """

    arm: str
    metric: str
    extractor: str | None
    n: int | None
    d: int | None
    generation: int
    seeds: tuple[int, ...]
    slope: Interval
    line: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the rate as JSON, with the factor a generation."""
        line: Json = None if self.line is None else list(self.line)
        return {**asdict(self), "seeds": list(self.seeds), "line": line, "factor": exp(self.slope.mean)}


def rates(runs: Sequence[Measured]) -> list[Rate]:
    """Return the rate of every arm in every Frechet distance that all its generations have, all above 0; none under three generations.

    Source: ours. arXiv 2407.17493 has a collapse rate whose definition is not known to us; its iterations 1 to K are our generations
    0 to K - 1, so generation 0 counts.
    """
    return [rate for name, same in arms_of(runs).items() for rate in _of_arm(name, same)]


def slope(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the least-squares slope a step, and the ends of its 95 % t-interval with n - 2 degrees of freedom."""
    y = np.asarray(values, np.float64)
    x = np.arange(len(y)) - (len(y) - 1) / 2
    sxx = float(x @ x)
    found = float(x @ y) / sxx
    scatter = float(np.square(y - y.mean() - found * x).sum())
    half = float(stdtrit(len(y) - 2, 0.975)) * np.sqrt(scatter / (len(y) - 2) / sxx)
    return found, found - half, found + half


def table_of(found: Sequence[Rate]) -> Table | None:
    """Return the rates as a table, a row an arm and a distance; None where there are none."""
    if not found:
        return None
    rows = tuple((one.arm, _distance(one), f"0 to {one.generation}", str(len(one.seeds)), text(one), factor(one)) for one in found)
    return Table(("arm", "distance", "generations", "seeds", "a generation", "factor a generation"), rows)


def text(one: Rate) -> str:
    """Return "+0.31 [0.25, 0.37]", with the interval over seeds or, of one seed, of its line; without one where there is none."""
    low, high = one.line or (one.slope.low, one.slope.high)
    mean = f"+{number(one.slope.mean)}" if one.slope.mean > 0 else number(one.slope.mean)
    return mean if low is None or high is None else f"{mean} [{number(low)}, {number(high)}]"


def factor(one: Rate) -> str:
    """Return by which factor the distance grows a generation."""
    return f"\N{MULTIPLICATION SIGN}{exp(one.slope.mean):.3g}"


def _distance(one: Rate) -> str:
    return one.metric + (f", n = {count(one.n)}" if one.n else "")


def _of_arm(name: str, runs: Sequence[R]) -> list[Rate]:
    by_key: dict[Key, dict[int, Mapping[int, float]]] = {}
    for run in runs:
        for key, values in points_of(run).items():
            if key.metric.startswith(FIRST):
                by_key.setdefault(key, {})[run.seed] = values
    last = min(len(run.values) for run in runs) - 1
    found = []
    for key, seeds in by_key.items():
        whole = {
            seed: [values[g] for g in range(last + 1)]
            for seed, values in seeds.items()
            if all(values.get(g, 0) > 0 for g in range(last + 1))
        }
        if last + 1 >= FEWEST and whole:
            slopes = {seed: slope([log(value) for value in values]) for seed, values in whole.items()}
            line = next(iter(slopes.values()))[1:] if len(slopes) == 1 else None
            mean = over_seeds([one[0] for one in slopes.values()])
            found.append(Rate(name, key.metric, key.extractor, key.n, key.d, last, tuple(slopes), mean, line))
    return found
