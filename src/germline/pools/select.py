"""Which rows of a pool: drop near duplicates and lonely rows first, then choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from germline.core import digest
from germline.core.errors import BadInput
from germline.core.names import name_of
from germline.core.neighbours import slices
from germline.core.progress import Progress, silent
from germline.core.seeds import rng
from germline.pools import density, spread
from germline.pools import table as tables
from germline.pools.near import near_earlier
from germline.pools.opened import Opened
from germline.pools.spread import LIMIT, Search
from germline.pools.stacked import Part, Stacked
from germline.pools.unfinished import Unfinished
from germline.pools.work import Work

By = Literal["uniform", "top", "farthest", "threshold-decay", "confidence"]


@dataclass(frozen=True)
class Wish:
    """What is to be chosen. Distances are in the extractor's features.

    Attributes:
        n: rows.
        by: "uniform"; "top" and "confidence", the highest of a score; "farthest" and "threshold-decay", far from one another.
        score: the score's name, for "top" and "confidence".
        keep_quantile: the share of rows to choose from, those in the most crowded places: nearest to their 5th nearest row.
        near_duplicates: rows nearer than this to an earlier row are left out.
        tau: the first distance of threshold decay.
        decay: what it is multiplied by after each pass.
        seed: of what is drawn.
        limit: the most rows of one search for far rows.
    """

    n: int
    by: By
    score: str = ""
    keep_quantile: float | None = None
    near_duplicates: float | None = None
    tau: float | None = None
    decay: float = 0.95
    seed: int = 0
    limit: int = LIMIT

    def __post_init__(self) -> None:
        if self.n < 1:
            raise BadInput(f"--n must be at least 1, but is {self.n}.")
        if self.keep_quantile is not None and not 0 < self.keep_quantile <= 1:
            raise BadInput(f"--keep-quantile is a share above 0 and up to 1, but is {self.keep_quantile}; 0.95 drops one row in twenty.")
        if self.near_duplicates is not None and not self.near_duplicates >= 0:
            raise BadInput(f"--near-duplicates is a distance of 0 or more, but is {self.near_duplicates}.")

    @property
    def in_features(self) -> bool:
        """Whether features are looked at."""
        return self.by in ("farthest", "threshold-decay") or self.keep_quantile is not None or self.near_duplicates is not None


@dataclass(frozen=True)
class Choice:
    """Places of the chosen rows among all rows of the pool, in order of choice; their scores, and why; and what was dropped, and why."""

    places: Int64[np.ndarray, " n"]
    scores: Float64[np.ndarray, " n"]
    reason: str
    dropped: tuple[tuple[Int64[np.ndarray, " m"], str], ...] = ()
    notes: tuple[str, ...] = ()
    ratio: float | None = None


def select(work: Work, pool: Opened, wish: Wish, progress: Progress = silent) -> Choice:
    """Return the choice; all shards are made before. A killed search goes on where it was.

    Raises:
        BadInput: fewer rows are left than are to be chosen, or features do not fit together.
    """
    usable, scores, start = [], [], 0
    for table in tables.each(work.out, pool.shards):
        here = np.flatnonzero(table.usable)
        usable.append(here + start)
        scores.append(table.scores[wish.score][here] if wish.score else np.zeros(len(here)))
        start += len(table)
    places, values = np.concatenate(usable), np.concatenate(scores)
    left, dropped, notes = np.arange(len(places)), [], []
    features = _features(work, pool, usable) if wish.in_features else None
    of = digest.of_json([pool.digest, work.features.name if work.extractor else "", len(places)])
    if features is not None and wish.near_duplicates is not None:
        with progress("near duplicates", len(left)) as advance:
            near = near_earlier(features, wish.near_duplicates, advance)
        dropped.append((places[near], f"nearer than {wish.near_duplicates:g} to an earlier row"))
        left = left[~near]
    if features is not None and wish.keep_quantile is not None:
        lonely, note = _lonely(Part(features, left), wish, work, [of, wish.near_duplicates], progress)
        dropped.append((places[left[lonely]], note))
        left = left[~lonely]
    if wish.n > len(left):
        raise BadInput(
            f"--n {wish.n:,} is more than the {len(left):,} rows that are left of {start:,}; lower it, or drop fewer rows first."
        )
    if wish.by in ("farthest", "threshold-decay"):
        assert features is not None
        key = digest.of_json([of, wish.near_duplicates, wish.keep_quantile])
        search = Search(wish.by, wish.n, work.out, key, wish.seed, wish.tau, wish.decay, wish.limit)
        found = search(Part(features, left), progress)
        rows, values, reason = found.rows, found.distances, f"{wish.by}: its score is the distance to the nearest row chosen before it"
        notes += _told(found)
        return Choice(places[left[rows]], np.where(np.isinf(values), np.nan, values), reason, tuple(dropped), tuple(notes), found.ratio)
    if wish.by == "uniform":
        rows = rng(wish.seed, 0, "pools/uniform").choice(len(left), wish.n, replace=False)
        return Choice(places[left[rows]], np.full(wish.n, np.nan), "drawn uniformly", tuple(dropped))
    best = np.argsort(-values[left], kind="stable")[: wish.n]
    return Choice(places[left[best]], values[left[best]], f"among the {wish.n} highest by {wish.score}", tuple(dropped))


def _told(found: spread.Spread) -> list[str]:
    if found.ratio is None:
        return []
    return [
        f"Not exact: farthest rows of {found.parts} parts, then of their union. Covering radius (on {found.measured:,} rows) over"
        f" separation: {found.ratio:.3f}; an exact search has at most 1."
    ]


def _features(work: Work, pool: Opened, usable: Sequence[np.ndarray]) -> Stacked:
    """Return the features of usable rows; ``usable`` counts over the whole pool."""
    arrays, kept, start = [], [], 0
    for shard, rows in zip(pool.shards, usable, strict=True):
        if shard.vectors is None:
            array = np.load(work.features / f"{shard.stem}.npy", mmap_mode="r", allow_pickle=False)
        else:
            array = shard.vectors()
        arrays.append(array)
        kept.append(rows - start)
        start += len(array)
    return Stacked(arrays, kept, [shard.name for shard in pool.shards])


def _lonely(features: Part, wish: Wish, work: Work, of: digest.Json, progress: Progress) -> tuple[np.ndarray, str]:
    """Return which rows are the loneliest, and a sentence that says how that was found; kept for the next time, in pieces."""
    sample = density.sampled(len(features))
    if len(sample) <= density.K:
        raise BadInput(f"--keep-quantile looks at a row's {density.K} nearest rows, but there are {len(features)} rows; leave it out.")
    radii, base = np.full(len(features), np.nan), features[sample]
    unfinished = Unfinished(work.out, ["density", of, density.K, len(sample)])
    before = unfinished.load()
    if before is not None:
        radii = before["radii"]
    with progress("density", len(features)) as advance:
        for part in slices(len(features), density.BLOCK):
            if np.isnan(radii[part]).any():
                radii[part] = density.radii(features, part, sample, base)
                unfinished.save(lambda: {"radii": radii})
            advance(part.stop - part.start)
    unfinished.finish({"radii": radii})
    keep = int(np.ceil((wish.keep_quantile or 1.0) * len(radii)))
    lonely = np.ones(len(radii), bool)
    lonely[np.argsort(radii, kind="stable")[:keep]] = False
    space = name_of(work.extractor) if work.extractor else "the embeddings"
    among = "all rows" if len(sample) == len(radii) else f"a fixed random sample of {len(sample):,} rows"
    return lonely, f"among the {1 - (wish.keep_quantile or 1.0):.2%} farthest from their {density.K}th nearest row in {space}, of {among}"
