"""Equal counts of every cluster."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Extractor


@dataclass(frozen=True)
class KMeansCoverage:
    """Choose ``n`` rows, as many from each of ``clusters`` k-means clusters of what is on offer; a smaller cluster gives all it has.

    ``take`` "random" draws within a cluster, "nearest" takes the rows nearest to its centre, which are its most typical ones. The
    clusters are fitted on the offer, so they cover made and real rows alike. Conditions are not looked at: see ``PerClass``.

    Source: flat, one level only: Vo et al., "Automatic Data Curation for Self-Supervised Learning: A Clustering-Based Approach",
    arXiv 2405.15613 (k-means, then balanced sampling from the clusters; hierarchical there). Its use in the loop is ours.

    Raises:
        BadInput: ``n`` exceeds what is on offer, or there is no cluster.
    """

    n: int
    extractor: Extractor
    clusters: int = 100
    take: Literal["random", "nearest"] = "random"

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows, cluster after cluster."""
        from sklearn.cluster import KMeans  # slow to import, and not every run needs it

        if not 1 <= self.n <= len(pool):
            raise BadInput(f"KMeansCoverage was asked for {self.n} of {len(pool)} rows; give an n from 1 to what is on offer.")
        if self.clusters < 1:
            raise BadInput(f"KMeansCoverage needs a cluster or more, but got {self.clusters}.")
        features = ctx.features(self.extractor, pool).astype(np.float64)
        rng = ctx.rng("select/k_means_coverage")
        distinct = len(np.unique(features, axis=0))
        found = KMeans(min(self.clusters, distinct), n_init=1, random_state=int(rng.integers(2**31)), algorithm="lloyd").fit(features)
        far = np.square(features - found.cluster_centers_[found.labels_]).sum(axis=1)
        rank = far if self.take == "nearest" else rng.random(len(pool))
        order = np.lexsort((rank, found.labels_))
        sizes = np.bincount(found.labels_, minlength=len(found.cluster_centers_))
        starts = np.cumsum(sizes) - sizes
        counts = even(sizes, self.n, rng.permutation(len(sizes)))
        return np.concatenate([order[start : start + count] for start, count in zip(starts, counts, strict=True)])


def even(sizes: Int64[np.ndarray, " k"], n: int, order: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, " k"]:
    """Return counts of sum ``n``, at most ``sizes``, as even as possible: min(size, level), and one more for the first in ``order``."""
    low, high = 0, int(sizes.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if int(np.minimum(sizes, middle).sum()) <= n else (low, middle - 1)
    counts: np.ndarray = np.minimum(sizes, low)
    more = order[sizes[order] > low][: n - int(counts.sum())]
    counts[more] += 1
    return counts
