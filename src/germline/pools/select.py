"""Which rows of a pool: drop near duplicates and lonely rows first, then choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from germline.core import digest
from germline.core.errors import BadInput
from germline.core.names import name_of
from germline.core.progress import Progress, silent
from germline.core.seeds import rng
from germline.pools import density, spread
from germline.pools import table as tables
from germline.pools.near import near_earlier
from germline.pools.opened import Opened
from germline.pools.spread import LIMIT, Search
from germline.pools.stacked import Part
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
        weigh: let each far row weigh as many rows as are nearest to it; else all weigh 1.
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
    weigh: bool = False
    seed: int = 0
    limit: int = LIMIT

    def __post_init__(self) -> None:
        if self.n < 1:
            raise BadInput(f"--n must be at least 1, but is {self.n}.")
        if self.keep_quantile is not None and not 0 < self.keep_quantile <= 1:
            raise BadInput(f"--keep-quantile is a share above 0 and up to 1, but is {self.keep_quantile}; 0.95 drops one row in twenty.")
        if self.near_duplicates is not None and not self.near_duplicates >= 0:
            raise BadInput(f"--near-duplicates is a distance of 0 or more, but is {self.near_duplicates}.")
        if self.weigh and not self.far:
            raise BadInput(f"--weigh counts the rows that a far row stands for; a row chosen by {self.by} stands for itself. Leave it out.")

    @property
    def far(self) -> bool:
        """Whether rows are chosen far from one another."""
        return self.by in ("farthest", "threshold-decay")

    @property
    def in_features(self) -> bool:
        """Whether features are looked at."""
        return self.far or self.keep_quantile is not None or self.near_duplicates is not None or self.score == density.Density.name


@dataclass(frozen=True)
class Choice:
    """Places of the chosen rows among all rows of the pool, in order of choice; their scores, and why; and what was dropped, and why.

    ``weights`` have a mean of 1; None means that all weigh 1.
    """

    places: Int64[np.ndarray, " n"]
    scores: Float64[np.ndarray, " n"]
    reason: str
    dropped: tuple[tuple[Int64[np.ndarray, " m"], str], ...] = ()
    notes: tuple[str, ...] = ()
    ratio: float | None = None
    weights: Float64[np.ndarray, " n"] | None = None


def select(work: Work, pool: Opened, wish: Wish, progress: Progress = silent) -> Choice:
    """Return the choice; all shards are made before. A killed search goes on where it was.

    Raises:
        BadInput: fewer rows are left than are to be chosen, or features do not fit together.
    """
    crowded = None
    if wish.score == density.Density.name or (wish.keep_quantile is not None and wish.near_duplicates is None):
        crowded = density.score(work, pool, progress)
    usable, scores, start = [], [], 0
    for table in tables.each(work.out, pool.shards):
        here = np.flatnonzero(table.usable)
        usable.append(here + start)
        scores.append(table.scores[wish.score][here] if wish.score else np.zeros(len(here)))
        start += len(table)
    places, values = np.concatenate(usable), np.concatenate(scores)
    left, dropped, notes = np.arange(len(places)), [], []
    features = work.stacked(pool, usable) if wish.in_features else None
    of = digest.of_json([pool.digest, work.features.name if work.extractor else "", len(places)])
    if features is not None and wish.near_duplicates is not None:
        with progress("near duplicates", len(left)) as advance:
            near = near_earlier(features, wish.near_duplicates, advance)
        dropped.append((places[near], f"nearer than {wish.near_duplicates:g} to an earlier row"))
        left = left[~near]
    if features is not None and wish.keep_quantile is not None:
        if wish.near_duplicates is None:
            assert crowded is not None
            radii = -crowded[places]
        else:
            radii = density.measured(Part(features, left), Unfinished(work.out, ["density", of, wish.near_duplicates]), progress)
        lonely = _largest(radii, wish.keep_quantile)
        space = name_of(work.extractor) if work.extractor else "the embeddings"
        what = f"among the {1 - wish.keep_quantile:.2%} farthest from their {density.K}th nearest row in {space}"
        dropped.append((places[left[lonely]], f"{what}, of {density.among(len(left))}"))
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
        weights = search.weights(Part(features, left), rows, progress) if wish.weigh else None
        if weights is not None:
            reason += "; its weight is the number of rows that are nearest to it, over the mean of these numbers"
            notes.append(
                f"Weights from {weights.min():.3g} to {weights.max():.3g}: {wish.n / np.square(weights).mean():,.0f} effective rows."
            )
        values = np.where(np.isinf(values), np.nan, values)
        return Choice(places[left[rows]], values, reason, tuple(dropped), tuple(notes), found.ratio, weights)
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


def _largest(radii: Float64[np.ndarray, " n"], keep: float) -> Bool[np.ndarray, " n"]:
    """Return which rows are not among the share ``keep`` of least radius."""
    lonely = np.ones(len(radii), bool)
    lonely[np.argsort(radii, kind="stable")[: int(np.ceil(keep * len(radii)))]] = False
    return lonely
