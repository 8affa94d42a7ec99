"""How crowded the place of a row is: the distance to its k-th nearest row, among all or among a fixed sample of them."""

from __future__ import annotations

from typing import cast

import numpy as np
from jaxtyping import Float, Float64, Int64

from germline.core.neighbours import nearest
from germline.core.seeds import rng
from germline.pools.stacked import Part, Stacked

K, SAMPLE, BLOCK = 5, 50_000, 2048


def sampled(rows: int, most: int = SAMPLE) -> Int64[np.ndarray, " s"]:
    """Return the rows that stand for all: all, or a sample that is the same for equal numbers of rows, ascending."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(rng(0, -1, "pools/density").choice(rows, most, replace=False))


def radii(
    features: Stacked | Part, part: slice, sample: Int64[np.ndarray, " s"], base: Float[np.ndarray, "s d"], k: int = K
) -> Float64[np.ndarray, " n"]:
    """Return the distance of each row of ``part`` to its k-th nearest row of the sample, itself not counted; ``base`` is features[sample].

    Rows times sample, so quadratic.
    """
    # a row of the sample meets itself at distance 0, or a copy of it, which is as far
    own = np.isin(np.arange(part.start, part.stop), sample, assume_unique=True)
    found = nearest(features[part], base, k + 1)[1]
    return np.where(own, found[:, k], found[:, k - 1])


def as_array(features: Stacked | Part) -> np.ndarray:
    """Return features as what the searches are typed for: they only slice and index them."""
    return cast(np.ndarray, features)
