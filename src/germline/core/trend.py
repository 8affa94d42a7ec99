"""Whether a short series has a trend, and where its level changes: with intervals that know how noisy each point is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit

PRIOR = 4.0  # degrees of freedom that the known noise is worth against the scatter around the line


@dataclass(frozen=True)
class Trend:
    """A straight line through a series: ``slope`` a step, its 95 % interval, and the two-sided p-value of no slope."""

    slope: float
    low: float
    high: float
    p: float
    sd: float


@dataclass(frozen=True)
class Change:
    """The level is another from point ``at`` on; ``low`` and ``high`` are the first and last point where that could be."""

    at: int
    low: int
    high: int


def trend(values: Sequence[float], noise: float) -> Trend:
    """Return the least-squares line, with a variance between the scatter around it and the known noise of a point.

    s^2 = (PRIOR noise^2 + sum of squared residuals) / (PRIOR + n - 2), with as many degrees of freedom as its denominator: two or
    three points alone cannot tell their own scatter, many can. Ours, after the moderated t-test (Smyth 2004, eq. 3).
    """
    y = np.asarray(values, np.float64)
    x = np.arange(len(y)) - (len(y) - 1) / 2
    sxx = float(x @ x)
    slope = float(x @ y) / sxx
    residuals = y - y.mean() - slope * x
    freedom = PRIOR + len(y) - 2
    sd = float(np.sqrt((PRIOR * noise**2 + residuals @ residuals) / freedom))
    error = max(sd / np.sqrt(sxx), np.finfo(np.float64).tiny)
    half = float(stdtrit(freedom, 0.975)) * error
    return Trend(slope, slope - half, slope + half, float(2 * stdtr(freedom, -abs(slope) / error)), sd)


def change_point(values: Sequence[float], noise: float) -> Change:
    """Return where two constant levels fit best, and every place that fits within 3.84 s^2 of it (95 %, one degree of freedom)."""
    y = np.asarray(values, np.float64)
    cost = np.array([_scatter(y[:at]) + _scatter(y[at:]) for at in range(1, len(y))])
    best = int(cost.argmin())
    freedom = PRIOR + max(len(y) - 3, 0)
    variance = (PRIOR * noise**2 + float(cost[best])) / freedom
    near = np.flatnonzero(cost <= cost[best] + 3.841 * variance)
    return Change(best + 1, int(near[0]) + 1, int(near[-1]) + 1)


def _scatter(y: Float[np.ndarray, " n"]) -> float:
    return float(np.square(y - y.mean()).sum())
