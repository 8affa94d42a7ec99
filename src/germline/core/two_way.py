"""The mean of answers that share raters and share prompts, with an interval that heeds both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import stdtrit

from germline.core.errors import BadInput
from germline.core.intervals import ENOUGH, Interval


def over_two_ways(values: Sequence[float] | Float64[np.ndarray, " n"], rows: Sequence[str], columns: Sequence[str]) -> Interval:
    """Return the mean of ``values`` with its 95 % interval, clustered by ``rows`` (raters) and ``columns`` (prompts); ``n`` counts values.

    The variance is V_rows + V_columns - V_both, each with the factor G / (G - 1) of its G clusters; where that is below the larger of the
    first two, as it may be in small samples, the larger one stands (ours). The half-width is t_{G - 1} standard errors, G the fewer of
    the two kinds' clusters. With fewer than three of either there is no interval.

    Source: Cameron, Gelbach, Miller, "Robust inference with multiway clustering", J. Business & Economic Statistics 29 (2011).

    Raises:
        BadInput: there is no value, or not one row and one column each.
    """
    x = np.asarray(values, np.float64)
    if not len(x) or not len(x) == len(rows) == len(columns):
        raise BadInput(f"Each value needs a row and a column, but there are {len(x)} values, {len(rows)} rows and {len(columns)} columns.")
    mean = float(x.mean())
    by_row, by_column = (np.unique(np.asarray(names), return_inverse=True)[1] for names in (rows, columns))
    fewest = int(min(by_row.max(), by_column.max())) + 1
    if fewest < ENOUGH:
        return Interval(mean, len(x))
    both = np.unique(by_row * (by_column.max() + 1) + by_column, return_inverse=True)[1]
    one, other, shared = (_variance(x - mean, groups) for groups in (by_row, by_column, both))
    half = float(stdtrit(fewest - 1, 0.975) * np.sqrt(max(one + other - shared, one, other)))
    return Interval(mean, len(x), mean - half, mean + half)


def _variance(residuals: Float64[np.ndarray, " n"], groups: Int[np.ndarray, " n"]) -> float:
    sums = np.bincount(groups, residuals)
    return float(len(sums) / (len(sums) - 1) * (sums**2).sum() / len(residuals) ** 2)
