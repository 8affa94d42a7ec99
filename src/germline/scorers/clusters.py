"""Pseudo-labels: the k-means cluster that a row's features lie in, for data without labels."""

import numpy as np
from jaxtyping import Float, Int64
from threadpoolctl import threadpool_limits

from germline.core.cache import Arrays
from germline.core.errors import BadInput
from germline.core.pool import REAL
from germline.core.seeds import rng
from germline.scorers.probe import standard


def centres(features: Float[np.ndarray, "n d"], k: int) -> Arrays:
    """Return ``centres`` (k, d) and ``scale`` (d): k-means on standardised features, the best of four seeded starts.

    Raises:
        BadInput: fewer distinct rows than clusters.
    """
    from sklearn.cluster import KMeans  # slow to import, and not every run needs it

    centre, scale = standard(features)
    x = (features - centre) / scale
    if (distinct := len(np.unique(x, axis=0))) < k:
        raise BadInput(f"{k} clusters were asked for, but the real rows have {distinct} distinct features; lower clusters.")
    seed = int(rng(0, REAL, "probe/clusters").integers(2**31))
    with threadpool_limits(1):
        found = KMeans(k, n_init=4, random_state=seed, algorithm="lloyd").fit(x)
    used = np.isfinite(scale)
    return {"centres": np.where(used, found.cluster_centers_ * np.where(used, scale, 0), 0) + centre, "scale": scale}


def nearest(fitted: Arrays, features: Float[np.ndarray, "n d"]) -> Int64[np.ndarray, " n"]:
    """Return the number of each row's nearest centre in standardised features, the lowest one on ties."""
    from scipy.spatial.distance import cdist  # pair by pair: a row's cluster must not depend on the rows beside it

    rows, middles = features / fitted["scale"], fitted["centres"] / fitted["scale"]
    number: np.ndarray = cdist(rows, middles, "sqeuclidean").argmin(axis=1).astype(np.int64)
    return number
