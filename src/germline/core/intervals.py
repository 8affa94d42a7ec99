"""Intervals over seeds: t-intervals of means and of paired differences. Under three seeds there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

ENOUGH = 3


@dataclass(frozen=True)
class Interval:
    """A mean over ``n`` seeds; ``low`` and ``high`` bound it with 95 % confidence, and are None under three seeds."""

    mean: float
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether an ordering may be stated."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def over_seeds(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of one value a seed with its t-interval: mean +- t_{n-1} s / sqrt(n)."""
    x = np.asarray(values, np.float64)
    mean = float(x.mean())
    if len(x) < ENOUGH:
        return Interval(mean, len(x))
    half = float(stdtrit(len(x) - 1, 0.5 + confidence / 2) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(mean, len(x), mean - half, mean + half)


def paired(arm: Sequence[float], other: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of ``arm`` - ``other``, seed by seed, with its t-interval: what both share of a seed's generation 0 cancels."""
    return over_seeds([a - b for a, b in zip(arm, other, strict=True)], confidence)
