"""Exact nearest neighbours in plain numpy: matrix products find them, differences in float64 measure them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Protocol

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64

SPARE = 4  # candidates kept beyond k, so that rounding can rarely hide a neighbour
QUERIES, BASE, ELEMENTS = 512, 4096, 1 << 22  # rows of a tile of distances; numbers held at once in float64
PIECE = 16 << 20  # bytes of rows that are read at once


class Sliceable(Protocol):
    """Rows that are read a slice at a time: an array, a memory map, a pool's images."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


def first_copies(rows: Sliceable) -> Int64[np.ndarray, " n"]:
    """Return for every row the lowest row with the same bytes; a row is its own first copy if it is new. -0.0 equals 0.0."""
    seen: dict[bytes, int] = {}
    out = np.empty(len(rows), np.int64)
    size = max(1, min(BASE, PIECE // max(1, rows[0:1].nbytes)))
    for block in slices(len(rows), size):
        array = np.ascontiguousarray(rows[block])
        array = array + 0.0 if array.dtype.kind == "f" else array
        for number, row in enumerate(array, block.start):
            out[number] = seen.setdefault(blake2b(row.data, digest_size=16).digest(), number)
    return out


def centre(features: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, " d"]:
    """Return a central point: the median of each feature over at most 1,001 rows, spread evenly.

    Distances do not depend on it, their rounding does: norms must not be large beside distances. A median is a value that occurs,
    so features that are multiples of 1, or of 1/8, stay so, their distances are exact in float32, and ties stay ties.
    """
    count = min(len(features), 1001)
    rows = np.linspace(0, len(features) - 1, count - (count + 1) % 2).astype(np.int64)
    middle: np.ndarray = np.median(np.asarray(features[rows], np.float32), axis=0)
    return middle


def squared_norms(x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, " n"]:
    """Return the squared length of every row."""
    norms: np.ndarray = np.einsum("ij,ij->i", x, x)
    return norms


def squared_distances(
    a: Float32[np.ndarray, "n d"],
    b: Float32[np.ndarray, "m d"],
    a_norms: Float32[np.ndarray, " n"] | None = None,
    b_norms: Float32[np.ndarray, " m"] | None = None,
) -> Float32[np.ndarray, "n m"]:
    """Return |a_i - b_j|^2 = |a_i|^2 - 2 a_i.b_j + |b_j|^2, clipped at 0, by one matrix product; centre the rows first."""
    out: np.ndarray = a @ b.T
    out *= -2
    out += (squared_norms(a) if a_norms is None else a_norms)[:, None]
    out += squared_norms(b) if b_norms is None else b_norms
    np.maximum(out, 0, out=out)
    return out


def nearest(
    query: Float[np.ndarray, "n d"], base: Float[np.ndarray, "m d"], k: int = 1, exclude_self: bool = False
) -> tuple[Int64[np.ndarray, "n k"], Float64[np.ndarray, "n k"]]:
    """Return the k nearest base rows of every query row, nearest first (ties: lowest row), and their Euclidean distances.

    Exact: a float32 matrix product proposes k + 4 rows, differences in float64 order them. Where the bound on the product's
    rounding error leaves room for a row that was not proposed, all rows within the bound are measured. Both arrays may be
    memory maps: a tile of 512 x 4,096 distances is held at a time.

    Args:
        query: the rows that look for neighbours.
        base: the rows among which they look.
        k: how many.
        exclude_self: ``query`` is ``base``, and a row is not its own neighbour.

    Raises:
        ValueError: ``base`` has fewer than k rows, or fewer than k others.
    """
    if k > len(base) - exclude_self:
        raise ValueError(f"nearest was asked for {k} neighbours, but each row has {len(base) - exclude_self}; lower k or give more rows.")
    middle = centre(base)
    rows, bound, reach = _proposed(query, base, min(k + SPARE, len(base) - exclude_self), exclude_self, middle)
    radii = _radii(query, base, np.repeat(np.arange(len(query)), rows.shape[1]), rows.ravel()).reshape(rows.shape)
    order = np.lexsort((rows, radii), axis=1)[:, :k]
    rows, radii = np.take_along_axis(rows, order, 1), np.take_along_axis(radii, order, 1)
    if k + SPARE < len(base) - exclude_self:
        doubtful = np.flatnonzero(radii[:, -1] ** 2 + reach >= bound)
        for part in slices(len(doubtful), QUERIES // 4):
            here = doubtful[part]
            rows[here], radii[here] = _within(query, base, here, radii[here, -1] ** 2 + reach[here], k, exclude_self, middle)
    return rows, radii


def slices(n: int, size: int) -> Iterator[slice]:
    """Yield 0..n in slices of at most ``size``."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _centred(features: np.ndarray, rows: slice | np.ndarray, middle: np.ndarray) -> np.ndarray:
    centred: np.ndarray = np.asarray(features[rows], np.float32) - middle
    return centred


def _with_column(x: np.ndarray, column: np.ndarray | float) -> np.ndarray:
    """Return x with one column more: [-q, 1] . [b, |b|^2 / 2] is half the squared distance but for |q|^2 / 2."""
    out = np.empty((len(x), x.shape[1] + 1), np.float32)
    out[:, :-1], out[:, -1] = x, column
    return out


def _proposed(
    query: np.ndarray, base: np.ndarray, width: int, exclude_self: bool, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``width`` rows near each query row, the squared distance that all others reach, and the bound on its rounding error."""
    values = np.full((len(query), width), np.inf, np.float32)
    rows = np.full((len(query), width), len(base), np.int64)
    norms, longest = np.empty(len(query)), 0.0
    for columns in growing(len(base)):
        b = _centred(base, columns, middle)
        b_norms = squared_norms(b)
        longest = max(longest, float(b_norms.max()))
        b = _with_column(b, b_norms / 2)
        for part in slices(len(query), QUERIES):
            q = _centred(query, part, middle)
            norms[part] = squared_norms(q)
            tile = _with_column(-q, 1) @ b.T
            if exclude_self:
                own = np.arange(max(part.start, columns.start), min(part.stop, columns.stop))
                tile[own - part.start, own - columns.start] = np.inf
            _keep_smallest(values[part], rows[part], tile, columns.start)
    # |fl(x.y) - x.y| <= d eps |x| |y| for any order of summation; eight more for centring, norms and the final sum
    reach = (base.shape[1] + 8) * np.finfo(np.float32).eps * (np.sqrt(norms) + np.sqrt(longest)) ** 2
    return rows, 2 * values.max(axis=1).astype(np.float64) + norms, reach


def growing(n: int, most: int = BASE) -> Iterator[slice]:
    """Yield 0..n in slices that double up to ``most``: a small first tile tells cheaply what the later ones need not keep."""
    start, size = 0, min(most, 256)
    while start < n:
        yield slice(start, min(start + size, n))
        start, size = start + size, min(2 * size if start else size, most)


def _keep_smallest(values: np.ndarray, rows: np.ndarray, tile: np.ndarray, offset: int) -> None:
    """Merge a tile into each row's smallest values, in place; after the first tile only few entries are below the largest kept."""
    width = values.shape[1]
    if offset == 0 and tile.shape[1] > width:
        rows[:] = np.argpartition(tile, width - 1, axis=1)[:, :width]
        values[:] = np.take_along_axis(tile, rows, 1)
        return
    row, column = np.divmod(np.flatnonzero(tile < values.max(axis=1)[:, None]), tile.shape[1])
    touched = np.unique(row)
    owner = np.concatenate([np.repeat(touched, width), row])
    value = np.concatenate([values[touched].ravel(), tile[row, column]])
    number = np.concatenate([rows[touched].ravel(), column + offset])
    order = np.lexsort((number, value, owner))
    first = np.searchsorted(owner[order], touched)[:, None] + np.arange(width)
    values[touched], rows[touched] = value[order][first], number[order][first]


def _within(
    query: np.ndarray, base: np.ndarray, here: np.ndarray, limit: np.ndarray, k: int, exclude_self: bool, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest rows of the query rows ``here``: all whose squared distance may be below ``limit`` are measured."""
    q = _centred(query, here, middle)
    pairs = []
    for columns in slices(len(base), BASE):
        tile = squared_distances(q, _centred(base, columns, middle))
        if exclude_self:
            own = (here >= columns.start) & (here < columns.stop)
            tile[own, here[own] - columns.start] = np.inf
        pairs.append(np.argwhere(tile <= limit[:, None]) + np.array([0, columns.start]))
    owner, number = np.concatenate(pairs).T
    radii = _radii(query, base, here[owner], number)
    order = np.lexsort((number, radii, owner))
    first = np.searchsorted(owner[order], np.arange(len(here)))[:, None] + np.arange(k)
    return number[order][first], radii[order][first]


def _radii(query: np.ndarray, base: np.ndarray, a: Int[np.ndarray, " p"], b: Int[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
    """Return |query_a - base_b| of each pair, from differences in float64."""
    out = np.empty(len(a))
    for part in slices(len(a), max(1, ELEMENTS // query.shape[1])):
        difference = query[a[part]].astype(np.float64) - base[b[part]]
        out[part] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return out
