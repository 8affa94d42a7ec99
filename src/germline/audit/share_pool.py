"""A pool of unknown origin: what its files say of themselves, counted; then features of rows that say nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from jaxtyping import Float

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.progress import Progress, silent
from germline.core.protocols import Extractor
from germline.core.splits import Splits
from germline.data.marks import read
from germline.data.pictures import Unreadable
from germline.pools.blocks import Fit, blocks
from germline.pools.opened import Opened
from germline.pools.shard import Row

MOST = 10_000  # rows of a side whose features are computed, drawn by the hash of their names


@dataclass(frozen=True)
class Said:
    """Rows by what their files say: made, taken, nothing; ``kinds`` of marks (a row may carry several); ``unmarked`` names the silent ones.

    ``arrays`` of the silent rows are pixels or embeddings, which cannot carry a mark.
    """

    rows: int
    made: int
    taken: int
    unreadable: int
    arrays: int
    kinds: tuple[tuple[str, int], ...]
    unmarked: tuple[str, ...]


def said(pool: Opened, progress: Progress = silent) -> Said:
    """Return what the files of all rows say of their origin. Nothing is decoded, no signature is checked."""
    rows, arrays, unreadable = 0, 0, 0
    origins, kinds, unmarked = Counter[str](), Counter[str](), list[str]()
    with progress("shards", max(1, len(pool.shards))) as advance:
        for shard in pool.shards:
            for row in shard.rows():
                rows += 1
                if row.skipped:
                    unreadable += 1
                    continue
                if row.read is None:
                    arrays += 1
                    unmarked.append(row.id)
                    continue
                try:
                    marks = read(row.stored())
                except Unreadable:
                    unreadable += 1
                    continue
                origins[marks.origin] += 1
                kinds.update([f"XMP: {marks.xmp}"] if marks.xmp else [])
                kinds.update([f"C2PA: {marks.manifest_type or 'no source type'}"] if marks.manifest else [])
                kinds.update(f"PNG: {note}" for note in marks.notes)
                if marks.origin == "unknown":
                    unmarked.append(row.id)
            advance(1)
    counted = tuple(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))
    return Said(rows, origins["made"], origins["taken"], unreadable, arrays, counted, tuple(unmarked))


def features(pool: Opened, names: tuple[str, ...], extractor: Extractor, fit: Fit, progress: Progress = silent) -> Float[np.ndarray, "n d"]:
    """Return features of the named rows, of at most 10,000 of them; those that cannot be decoded are left out.

    Raises:
        BadInput: rows have features of several lengths, or none could be decoded.
    """
    wanted = frozenset(sorted(names, key=lambda name: blake2b(name.encode()).digest())[:MOST])
    nothing = Pool.of(np.zeros((0, 1, 1, 1), np.uint8))
    ctx = Context(0, 0, Splits("this pool", (), nothing, nothing, nothing, nothing))
    out: list[np.ndarray] = []
    with progress("features", max(1, len(pool.shards))) as advance:
        for shard in pool.shards:
            if shard.vectors is not None:
                places = [place for place, row in enumerate(shard.rows()) if row.id in wanted]
                out += [np.asarray(shard.vectors()[places], np.float32)] if places else []
            else:
                for block in blocks(_wanted(shard.rows(), wanted), fit, lambda place, reason: None):
                    out.append(np.asarray(extractor(Pool.of(block.images), ctx), np.float32))
            advance(1)
    widths = {part.shape[1] for part in out}
    if len(widths) != 1:
        what = "no row could be decoded" if not widths else f"rows have {', '.join(map(str, sorted(widths)))} features"
        raise BadInput(f"--pool {pool.name}: {what}; bring all images to one size: --size 64, say.")
    return np.concatenate(out)


def _wanted(rows: Iterator[Row], wanted: frozenset[str]) -> Iterator[tuple[int, Row]]:
    return ((place, row) for place, row in enumerate(rows) if row.id in wanted)
