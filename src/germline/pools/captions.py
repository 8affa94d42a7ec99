"""Captions that a scorer reads: a pool without any is refused, and rows that lack one are told of, since they are scored all the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from germline.core.errors import BadInput
from germline.core.protocols import Scorer
from germline.pools.opened import Opened


def refuse_without(scorers: Iterable[Scorer], pool: Opened) -> None:
    """Refuse a pool of images none of which has a caption or label for the scorers that read them; rows are read up to the first that has.

    Raises:
        BadInput: no row has one.
    """
    readers, count = [scorer.name for scorer in scorers if getattr(scorer, "captions", "") == "read"], 0
    rows = (row for shard in pool.shards if readers and shard.vectors is None for row in shard.rows() if not row.skipped)
    for row in rows:
        if row.words.strip():
            return
        count += 1
    if count:
        raise BadInput(
            f"{', '.join(readers)}: images are compared with their captions, but {count:,} of {count:,} rows of {pool.name} have none; give"
            " the folder a metadata.jsonl with file_name and text or prompt, or each picture a .txt file beside it, or score by what looks"
            " at images alone, such as aesthetic_v2 or realness."
        )


def told_of(scorers: Iterable[Scorer]) -> list[str]:
    """Return the names of the scorers that captions are read by or sent to."""
    return [scorer.name for scorer in scorers if getattr(scorer, "captions", "")]


def note(scorers: Iterable[Scorer], lacking: int) -> None:
    """Say how many rows were scored without a caption, if any were."""
    if lacking:
        names = ", ".join(told_of(scorers))
        warnings.warn(f"{names}: {lacking:,} rows have no caption, and were scored by an empty one.", stacklevel=3)
