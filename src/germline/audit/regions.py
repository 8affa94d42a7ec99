"""Regions of the real data that made rows do not reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from germline.core.neighbours import nearest

ROWS, MOST = 50, 60  # real rows that a region needs on average; regions at most
SURE, LOW = 0.01, 0.5  # chance that any region is called missing for nothing; the share of what is expected that is still called enough


@dataclass(frozen=True)
class Region:
    """A k-means cell of real rows.

    Attributes:
        real: real rows in it, of those it was not made from.
        made: made rows in it.
        expected: made rows that there would be if made rows lay where real rows lie.
        chance: of as few made rows or fewer, if both had the same share here.
        medoids: counted real rows nearest to its centre, nearest first.
        missing: whether made rows are certainly under half of what is expected.
    """

    real: int
    made: int
    expected: float
    chance: float
    medoids: tuple[int, ...]
    missing: bool


def regions(
    fitted: Float[np.ndarray, "f d"], real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], shown: int = 6
) -> tuple[Region, ...]:
    """Return the regions, those that lack most made rows first.

    The cells are those of k-means on ``fitted``; real rows are counted among others, since rows lie nearer to centres that were made
    of them. A region is missing where Fisher's exact test says so (one-sided, at 1 % over the number of regions) and made rows are under
    half of the expected number.

    Source: ours; k-means, Lloyd 1982; the test, Fisher 1922.
    """
    from scipy.stats import hypergeom  # slow to import
    from sklearn.cluster import KMeans

    count = max(1, min(MOST, len(fitted) // ROWS, len(real) // (ROWS // 2)))
    centres = KMeans(count, n_init=3, random_state=0).fit(np.asarray(fitted, np.float64)).cluster_centers_
    of_real, of_made = (nearest(rows, centres)[0][:, 0] for rows in (real, made))
    found = []
    for cell, centre in enumerate(centres):
        inside = np.flatnonzero(of_real == cell)
        here, there = len(inside), int((of_made == cell).sum())
        if not here:
            continue
        chance = float(hypergeom.cdf(there, len(real) + len(made), here + there, len(made)))
        expected = here / len(real) * len(made)
        order = np.argsort(np.square(real[inside] - centre).sum(axis=1), kind="stable")[:shown]
        missing = chance < SURE / count and there < LOW * expected
        found.append(Region(here, there, expected, chance, tuple(inside[order].tolist()), missing))
    return tuple(sorted(found, key=lambda region: (not region.missing, (region.made + 0.5) / region.expected)))


def missing_share(found: tuple[Region, ...], real: int) -> tuple[float, float, float]:
    """Return the share of real rows that lie in missing regions, and its 95 % interval (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest  # slow to import

    test = binomtest(sum(region.real for region in found if region.missing), real)
    low, high = test.proportion_ci()
    return float(test.statistic), float(low), float(high)


def shares(labels: Int64[np.ndarray, " n"], classes: int) -> Float[np.ndarray, " {classes}"]:
    """Return the share of each class among labels that are known (not below 0)."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    out: np.ndarray = counts / max(1, counts.sum())
    return out
