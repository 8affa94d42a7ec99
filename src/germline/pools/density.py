"""How crowded the place of a row is: the distance to its k-th nearest row, among all or among a fixed sample of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from jaxtyping import Float, Float64, Int64

from germline.core import digest
from germline.core.errors import BadInput
from germline.core.neighbours import nearest, slices
from germline.core.progress import Progress, silent
from germline.core.protocols import Extractor
from germline.core.seeds import rng
from germline.pools import table as tables
from germline.pools.opened import Opened
from germline.pools.stacked import Part, Stacked
from germline.pools.unfinished import Unfinished
from germline.pools.work import Work

K, SAMPLE, BLOCK = 5, 50_000, 2048


@dataclass(frozen=True)
class Density:
    """A pool's rows by how crowded their place is: minus the distance to the 5th nearest row; of embeddings, in their own space.

    It looks at all rows at once, so it is no ``Scorer``; ``score`` makes its column after all features are there.
    """

    extractor: Extractor | None = None
    name: ClassVar[str] = "density"


def score(work: Work, pool: Opened, progress: Progress = silent) -> Float64[np.ndarray, " n"]:
    """Return the density of every row of the pool, NaN of those that cannot be used, and keep it as a column of the shards' tables.

    It is read back while neither the pool nor the space changes; a killed one goes on where it was.

    Raises:
        BadInput: there are too few rows.
    """
    key = digest.of_json([pool.digest, work.features.name if work.extractor else "", K, SAMPLE])
    found = list(tables.each(work.out, pool.shards))
    if all(table.made_by.get(Density.name) == key for table in found):
        return np.concatenate([table.scores[Density.name] for table in found])
    usable = [table.usable for table in found]
    ends = np.cumsum([len(rows) for rows in usable])
    kept = np.flatnonzero(np.concatenate(usable))
    features = work.stacked(pool, np.split(kept, np.searchsorted(kept, ends[:-1])))
    out = np.full(int(ends[-1]), np.nan)
    out[kept] = -measured(features, Unfinished(work.out, ["density", key]), progress)
    for shard, table, end in zip(pool.shards, found, ends, strict=True):
        scores = {**table.scores, Density.name: out[end - len(table) : end]}
        made = tables.Table(table.ids, table.uids, table.skipped, scores, {**table.made_by, Density.name: key})
        tables.write(tables.path_of(work.out, shard), made, shard)
    return out


def measured(features: Stacked | Part, unfinished: Unfinished, progress: Progress = silent) -> Float64[np.ndarray, " n"]:
    """Return the distance of each row to its 5th nearest row of the sample.

    Raises:
        BadInput: there are too few rows.
    """
    sample = sampled(len(features))
    if len(sample) <= K:
        raise BadInput(f"Density is the distance to a row's {K}th nearest row, but there are {len(features)} rows; leave it out.")
    out, base = np.full(len(features), np.nan), features[sample]
    before = unfinished.load()
    if before is not None:
        out = before["radii"]
    with progress("density", int(np.isnan(out).sum())) as advance:
        for part in slices(len(features), BLOCK):
            if np.isnan(out[part]).any():
                out[part] = radii(features, part, sample, base)
                unfinished.save(lambda: {"radii": out})
                advance(part.stop - part.start)
    unfinished.finish({"radii": out})
    return out


def among(rows: int) -> str:
    """Return in words which rows the neighbours are looked for among."""
    return "all rows" if rows <= SAMPLE else f"a fixed random sample of {SAMPLE:,} rows"


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
