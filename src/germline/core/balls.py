"""Balls around rows, each with a radius of its own: how many hold a row, and how far they must grow to reach it. Exact and chunked."""

from collections.abc import Iterator
from math import ceil

import numpy as np
from jaxtyping import Float, Float64, Int64

from germline.core.errors import BadInput
from germline.core.neighbours import BASE, ELEMENTS, QUERIES, centre, nearest, slices, squared_distances, squared_norms


def held_by(query: Float[np.ndarray, "n d"], base: Float[np.ndarray, "m d"], radii: Float[np.ndarray, " m"]) -> Int64[np.ndarray, " n"]:
    """Return for every query row the number of base rows that are nearer to it than their own radius.

    A float32 matrix product decides; pairs closer to the surface of a ball than its rounding error are measured in float64.
    """
    out = np.zeros(len(query), np.int64)
    for part, columns, tile, error in _tiles(query, base):
        limit = np.square(radii[columns])
        out[part] += (tile < limit - error).sum(axis=1)
        row, column = np.nonzero(np.abs(tile - limit) <= error)
        near = _distances(query, base, row + part.start, column + columns.start) < radii[columns][column]
        out[part] += np.bincount(row[near], minlength=len(tile))
    return out


def reach(query: Float[np.ndarray, "n d"], base: Float[np.ndarray, "m d"], radii: Float[np.ndarray, " m"]) -> Float64[np.ndarray, " n"]:
    """Return for every query row min_j |q - b_j| / r_j: the factor at which the first ball reaches it, below 1 inside of one.

    Balls of radius 0 reach nothing; where there are no others, the factor is infinite.
    """
    base, radii = base[radii > 0], radii[radii > 0]
    out = np.full(len(query), np.inf)
    for part, columns, tile, error in _tiles(query, base):
        inverse = 1 / np.square(radii[columns])
        first = ((tile + error) * inverse).argmin(axis=1)
        own = np.arange(len(tile))
        best = _distances(query, base, own + part.start, first + columns.start) / radii[columns][first]
        np.minimum(out[part], best, out=out[part])
        row, column = np.nonzero((tile - error) * inverse <= np.square(out[part])[:, None])
        factor = _distances(query, base, row + part.start, column + columns.start) / radii[columns][column]
        np.minimum.at(out[part], row, factor)
    return out


def own_radii(rows: Float[np.ndarray, "n d"], k: int) -> Float64[np.ndarray, " n"]:
    """Return the distance of every row to its k-th nearest other row."""
    return nearest(rows, rows, k, exclude_self=True)[1][:, -1]


def scale(factors: Float[np.ndarray, " n"], null: float) -> float:
    """Return the smallest factor that a fresh row of the same law exceeds with a chance of at most ``null``.

    It is the ceil((n + 1) (1 - null))-th smallest of n.

    Raises:
        BadInput: n is too small: no row that was seen is rare enough.
    """
    n = len(factors)
    if not 0 < null < 1:
        raise BadInput(f"A null rate (null={null}) must be between 0 and 1.")
    rank = ceil((n + 1) * (1 - null))
    if rank > n:
        raise BadInput(
            f"A support with null = {null} needs at least {ceil(1 / null) - 1} real rows, but got {n}; raise null or give more rows."
        )
    return float(np.sort(factors)[rank - 1])


def _tiles(query: np.ndarray, base: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
    """Yield tiles of squared distances with the bound on their rounding error, (rows, 1)."""
    if not len(base):
        return
    middle, d = centre(base), base.shape[1]
    for columns in slices(len(base), BASE):
        b = np.asarray(base[columns], np.float32) - middle
        b_norms = squared_norms(b)
        for part in slices(len(query), QUERIES):
            q = np.asarray(query[part], np.float32) - middle
            q_norms = squared_norms(q)
            # |fl(x.y) - x.y| <= d eps |x| |y| for any order of summation; eight more for centring, norms and the final sum
            error = (d + 8) * np.finfo(np.float32).eps * np.square(np.sqrt(q_norms) + np.sqrt(b_norms.max()))
            yield part, columns, squared_distances(q, b, q_norms, b_norms), error[:, None]


def _distances(query: np.ndarray, base: np.ndarray, a: Int64[np.ndarray, " p"], b: Int64[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
    """Return |query_a - base_b| of each pair, from differences in float64."""
    out = np.empty(len(a))
    for part in slices(len(a), max(1, ELEMENTS // query.shape[1])):
        difference = query[a[part]].astype(np.float64) - base[b[part]]
        out[part] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return out
