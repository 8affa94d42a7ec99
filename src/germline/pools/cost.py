"""What a pool will cost, from a few of its rows, read, scored and turned into features here and now."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from germline.core.digest import Json
from germline.pools import table as tables
from germline.pools.density import SAMPLE, Density
from germline.pools.opened import Opened
from germline.pools.select import Wish
from germline.pools.shard import Row, Shard
from germline.pools.work import Made, Work, missing, refuse_without_captions

SHARDS, ROWS = 4, 32  # that are tried, and rows of each


@dataclass(frozen=True)
class Cost:
    """Of what is still to be made: shards, rows (``counted``: exactly), seconds on one thread, and bytes that are read and written."""

    shards: int
    rows: int
    counted: bool
    seconds: float
    read: int
    written: int
    tried: int

    def text(self) -> str:
        """Return the cost in words."""
        return (
            f"{self.shards:,} shards are to be made, {'' if self.counted else 'about '}{self.rows:,} rows: {told(self.seconds)},"
            f" {self.read / 1e9:,.2f} GB to read, {self.written / 1e6:,.1f} MB to write, by {self.tried} rows timed here just now."
        )

    def to_json(self) -> dict[str, Json]:
        """Return the numbers."""
        return {
            "shards": self.shards,
            "rows": self.rows,
            "counted": self.counted,
            "seconds": self.seconds,
            "bytes_read": self.read,
            "bytes_written": self.written,
            "rows_timed": self.tried,
        }


def told(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds / 3600:,.1f} hours" if seconds > 5400 else f"{seconds / 60:.1f} minutes"


def cost(work: Work, pool: Opened) -> Cost:
    """Return what ``do`` would take; it writes nothing that stays.

    Opening networks counts once, as it will: the first rows that are tried are not timed. Rows of tars are reckoned from the bytes of those
    that were tried.

    Raises:
        BadInput: no row has a caption, and a scorer reads them.
    """
    refuse_without_captions(work, pool)
    left = [shard for shard in pool.shards if missing(work, shard)]
    if not left:
        return Cost(0, 0, True, 0.0, 0, 0, 0)
    tried = [left[place] for place in np.unique(np.linspace(0, len(left) - 1, SHARDS).astype(int))]
    with tempfile.TemporaryDirectory() as folder:
        trial = replace(work, out=Path(folder), cache=Path(folder))
        start = time.monotonic()
        _try(trial, tried[0], 1)
        opening = time.monotonic() - start
        start = time.monotonic()
        found = [_try(trial, shard, ROWS) for shard in tried]
    seconds, rows = time.monotonic() - start, max(1, sum(one.rows for one in found))
    uncounted = [one for one, shard in zip(found, tried, strict=True) if shard.count is None]
    each = max(1.0, sum(one.read for one in uncounted or found) / max(1, sum(one.rows for one in uncounted or found)))
    total = sum(round(shard.size / each) if shard.count is None else shard.count for shard in left)
    counted = all(shard.count is not None for shard in left)
    written = round(sum(one.written for one in found) * total / rows)
    read = sum(shard.size for shard in left)
    return Cost(len(left), total, counted, opening + seconds * total / rows, read, written, rows)


@dataclass(frozen=True)
class _Tried:
    """What the first rows of a shard came to: how many, the bytes that they take in the pool, and those that were made of them."""

    rows: int
    read: int
    written: int


def _try(work: Work, shard: Shard, rows: int) -> _Tried:
    taken: list[int] = []

    def read(row: Row) -> None:
        taken.append(row.size)

    images = shard.vectors is None
    made = Made(shard, work.scorers if images else (), work.extractor if images else None, read, rows)
    made.all_of(work)
    path = tables.path_of(work.out, shard)
    scores = {scorer.name: made.column(scorer.name) for scorer in work.scorers if images}
    tables.write(path, tables.Table(made.ids, made.uids, made.reasons, scores), shard)
    features = made.features(np.float16 if work.half else np.float32).nbytes if work.extractor and images else 0
    return _Tried(len(made.ids), sum(taken), path.stat().st_size + features)


def searching(wish: Wish, rows: int | None, pool: Opened, work: Work) -> float:
    """Return the seconds that comparing rows takes at most on one thread, by one matrix product timed here; 0 where none are compared."""
    if not wish.in_features or not rows:
        return 0.0
    width = _width(pool, work)
    x = np.random.default_rng(0).normal(size=(2048, width)).astype(np.float32)
    start = time.monotonic()
    for _ in range(4):
        x @ x.T
    each = (time.monotonic() - start) / (4 * len(x) ** 2)
    pairs = rows * wish.n * (1 + wish.weigh) if wish.far else 0
    pairs += rows * min(rows, SAMPLE) if wish.keep_quantile is not None or wish.score == Density.name else 0
    pairs += rows * rows // 2 if wish.near_duplicates is not None else 0
    return each * pairs


def _width(pool: Opened, work: Work) -> int:
    """Return the number of features of a row."""
    shard = pool.shards[0]
    if shard.vectors is not None:
        return int(shard.vectors().shape[1])
    made = Made(shard, (), work.extractor, most=1)
    made.all_of(work)
    return int(made.features(np.float32).shape[1])
