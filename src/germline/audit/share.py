"""How many rows of a pool do not look like real ones, at least: a lower bound that needs no made row and no trust in a classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import betaincinv

from germline.core.errors import BadInput
from germline.core.seeds import rng

TAILS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)  # shares of real rows above each threshold, fixed before a tested row is scored
LEAST, RIDGE = 40, 0.1  # rows of a side below which nothing is said; of the mean variance, added to each


@dataclass(frozen=True)
class Unlike:
    """The share of rows that do not look real is at least ``low`` with 95 % confidence; ``visible`` is the least share that could be seen.

    There is no upper end: made rows that look real are not seen by any classifier. ``real`` and ``pool`` are the rows that were tested.
    """

    low: float
    visible: float
    real: int
    pool: int


def unlike(real: Float[np.ndarray, "n d"], pool: Float[np.ndarray, "m d"], confidence: float = 0.95) -> Unlike:
    """Return the lower bound on the share of pool rows that are not of the law of the real rows.

    Half of each side fits a linear discriminant (real against pool) and thresholds; the other halves are tested. For a set A of features
    and a share s of rows of another law, pool(A) <= (1 - s) real(A) + s, so s >= (pool(A) - real(A)) / (1 - real(A)). Both shares are
    bounded by Clopper and Pearson 1934, with Bonferroni's correction over the thresholds, so a bad classifier makes the bound low, never
    wrong. The combination is ours.

    Raises:
        BadInput: a side has too few rows, or the features differ in number.
    """
    if min(len(real), len(pool)) < LEAST:
        raise BadInput(
            f"A share needs at least {LEAST} real rows and {LEAST} rows without a mark, but has {len(real)} and {len(pool)}; give more."
        )
    if real.shape[1] != pool.shape[1]:
        raise BadInput(
            f"Real rows have {real.shape[1]} features and the pool's {pool.shape[1]}; give both as images, or both as embeddings."
        )
    (fit_real, test_real), (fit_pool, test_pool) = (halves(side, place) for place, side in enumerate((real, pool)))
    direction = discriminant(fit_real, fit_pool)
    levels = np.quantile(fit_real @ direction, [1 - tail for tail in TAILS])
    above_real, above_pool = ((side @ direction)[:, None] > levels for side in (test_real, test_pool))
    error = (1 - confidence) / (2 * len(TAILS))
    high = np.array([upper(int(count), len(test_real), error) for count in above_real.sum(0)])
    low = np.array([1 - upper(int(count), len(test_pool), error) for count in (~above_pool).sum(0)])
    share = float(np.max((low - high) / np.maximum(1 - high, 1e-12)))
    return Unlike(max(0.0, share), visible(len(test_real), len(test_pool), error), len(test_real), len(test_pool))


def discriminant(real: Float[np.ndarray, "n d"], pool: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, " d"]:
    """Return Fisher's linear discriminant, pool rows upwards; the mean of both covariances is shrunk by a ridge."""
    real, pool = real.astype(np.float64), pool.astype(np.float64)
    both = np.concatenate([real - real.mean(0), pool - pool.mean(0)])
    spread = both.T @ both / len(both)
    ridge = RIDGE * max(float(np.trace(spread)) / len(spread), 1e-12)
    direction: np.ndarray = np.linalg.solve(spread + ridge * np.eye(len(spread)), pool.mean(0) - real.mean(0))
    return direction


def upper(count: int, n: int, error: float) -> float:
    """Return the upper end of Clopper and Pearson's interval of ``count`` of ``n``, wrong with probability ``error``."""
    return 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - error))


def visible(real: int, pool: int, error: float, caught: Float64[np.ndarray, " tails"] | None = None) -> float:
    """Return the least share that lifts the bound above 0 when of the rows that are not real ``caught`` lie above each threshold (all)."""
    counts = np.arange(1, pool + 1)  # 1 - the upper end of those below is the lower end of those above
    low = 1 - betaincinv(pool - counts + 1, counts, 1 - error)
    out = 1.0
    for tail, above in zip(TAILS, np.ones(len(TAILS)) if caught is None else caught, strict=True):
        at = int(np.searchsorted(low, upper(round(tail * real), real, error), side="right"))
        if at < pool and above > tail:
            out = min(out, max(0.0, (counts[at] / pool - tail) / (above - tail)))
    return out


def halves(rows: Float[np.ndarray, "n d"], place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two halves of the rows, drawn by a fixed seed."""
    order = rng(0, -1, "share", place).permutation(len(rows))
    return rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]
