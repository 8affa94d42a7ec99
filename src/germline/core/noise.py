"""Metric noise: what a number would vary by with other rows of the same law. It is not the noise of training: for that, see seeds."""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Float32

from germline.core.neighbours import slices
from germline.core.pool import REAL
from germline.core.seeds import rng

RESAMPLES = 1000
NORMAL = 1.959964  # the 97.5 % quantile
ELEMENTS = 1 << 21


def bootstrap(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval of the mean of ``values``, over 1,000 resamples of its rows.

    The resamples are those of a fixed seed: equal values have equal intervals, in every run and generation. Rows are taken as independent
    and as all that varies: where a row's value depends on others (a distance to the nearest one), the interval is conditional on them.

    Source: Efron 1979.
    """
    values = np.asarray(values, np.float64)
    n, middle = len(values), values.mean()
    rest = (values - middle).astype(np.float32)
    means = [counts(n, part.start, part.stop) @ rest for part in slices(RESAMPLES, max(1, ELEMENTS // n))]
    low, high = np.quantile(np.concatenate(means).astype(np.float64) / n, [0.025, 0.975])
    return float(middle + low), float(middle + high)


@lru_cache(maxsize=4)
def counts(n: int, start: int, stop: int) -> Float32[np.ndarray, "b n"]:
    """Return how often each of n rows is drawn in resamples ``start`` to ``stop``; each resample has a stream of its own."""
    out = np.empty((stop - start, n), np.float32)
    for into, number in zip(out, range(start, stop), strict=True):
        into[:] = np.bincount(rng(0, REAL, "bootstrap", number).integers(n, size=n), minlength=n)
    return out


def wilson(hits: float, n: float, z: float = NORMAL) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a share (Wilson 1927); unlike a bootstrap's, never a point."""
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return float(middle - half), float(middle + half)


def share(hits: Bool[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Return the share of True and the ends of its Wilson interval."""
    count, n = int(hits.sum()), len(hits)
    return count / n, *wilson(count, n)


def ratio(above: Float[np.ndarray, " n"], below: Float[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Return R = mean(above) / mean(below), rows in pairs, and the ends of its 95 % interval.

    The interval is the bootstrap of R + (above - R below) / mean(below), whose mean is R and which differs from it by R's first-order
    change with a row's weight; so it holds R.
    """
    middle = float(np.mean(below))
    value = float(np.mean(above)) / middle
    low, high = bootstrap(value + (above - value * below) / middle)
    return value, min(low, value), max(high, value)
