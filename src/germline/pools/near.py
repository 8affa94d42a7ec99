"""Near duplicates: rows nearer than a distance to an earlier row, exactly, without all pairs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from germline.core.neighbours import centre, first_copies, slices, squared_distances, squared_norms
from germline.core.progress import Advance
from germline.pools.stacked import Part, Stacked

BLOCK, SAMPLE, TILE = 512, 10_000, 4096


def near_earlier(features: Stacked | Part, distance: float, advance: Advance) -> Bool[np.ndarray, " n"]:
    """Return whether a row lies nearer than ``distance`` to any row before it, whether that one is kept or not; copies always do.

    Rows are sorted along the direction of largest variance: two that are ``distance`` apart along it are so altogether, so only rows
    within a band are compared, by float32 products; pairs that rounding leaves in doubt, by differences in float64.
    """
    copy_of = first_copies(features)
    out: np.ndarray = copy_of != np.arange(len(features))
    middle = centre(features)  # type: ignore[arg-type]
    along = _along(features, middle)
    order = np.argsort(along, kind="stable")
    order = order[~out[order]]
    place = along[order]
    # a projection in float32 is off by some 1e-6 of its size
    margin = distance + 1e-5 * float(np.abs(place).max(initial=0))
    for part in slices(len(order), BLOCK):
        last = int(np.searchsorted(place, place[part.stop - 1] + margin, "right"))
        for other in (slice(start, min(start + TILE, last)) for start in range(part.start, last, TILE)):
            _compare(features, order[part], order[other], distance, middle, out)
        advance(part.stop - part.start)
    advance(len(features) - len(order))
    return out


def _compare(
    features: Stacked | Part, a: Int64[np.ndarray, " a"], b: Int64[np.ndarray, " b"], distance: float, middle: np.ndarray, out: np.ndarray
) -> None:
    """Mark the later row of each pair that is near."""
    x, y = features[a] - middle, features[b] - middle
    x_norms, y_norms = squared_norms(x), squared_norms(y)
    tile = squared_distances(x, y, x_norms, y_norms)
    # |fl(x.y) - x.y| <= d eps |x| |y| for any order of summation; eight more for centring, norms and the final sum
    error = (x.shape[1] + 8) * np.finfo(np.float32).eps * np.square(np.sqrt(x_norms)[:, None] + np.sqrt(y_norms.max(initial=0)))
    row, column = np.nonzero(tile < distance**2 + error)
    differ = a[row] != b[column]
    row, column = row[differ], column[differ]
    doubt = np.flatnonzero(tile[row, column] >= distance**2 - error[row, 0])
    sure = np.ones(len(row), bool)
    for some in (doubt[start : start + TILE] for start in range(0, len(doubt), TILE)):
        apart = features[a[row[some]]].astype(np.float64) - features[b[column[some]]]
        sure[some] = np.einsum("ij,ij->i", apart, apart) < distance**2
    out[np.maximum(a[row[sure]], b[column[sure]])] = True


def _along(features: Stacked | Part, middle: np.ndarray) -> np.ndarray:
    """Return each row's place along the first principal direction of a sample."""
    rows = np.unique(np.linspace(0, len(features) - 1, SAMPLE).astype(np.int64))
    sample = (features[rows] - middle).astype(np.float64)
    sample -= sample.mean(axis=0)
    direction = np.random.default_rng(0).normal(size=sample.shape[1])
    for _ in range(20):  # power iteration: any direction is right, a better one is faster
        direction = sample.T @ (sample @ direction)
        direction /= max(float(np.linalg.norm(direction)), np.finfo(float).tiny)
    unit = direction.astype(np.float32)
    return np.concatenate([(features[part] - middle) @ unit for part in slices(len(features), TILE)])
