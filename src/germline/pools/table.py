"""What is known of a shard's rows: one Parquet file a shard, with the scores that were made so far."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float64

from germline.core.atomic import remove_abandoned, replacing
from germline.core.digest import Json
from germline.pools.shard import Shard

FOLDER, ABOUT = "rows", b"germline"


@dataclass(frozen=True)
class Table:
    """A shard's rows, in order: id, uid, why a row cannot be used ("" if it can), and one column a scorer (NaN where there is no score).

    ``made_by`` is the digest of what made each column.
    """

    ids: Sequence[str]
    uids: Sequence[str]
    skipped: Sequence[str]
    scores: Mapping[str, Float64[np.ndarray, " n"]] = field(default_factory=dict)
    made_by: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def usable(self) -> Bool[np.ndarray, " n"]:
        """Which rows can be used."""
        return np.array([not reason for reason in self.skipped], bool)


def path_of(out: Path, shard: Shard) -> Path:
    """Return where the shard's table lies."""
    return out / FOLDER / f"{shard.stem}.parquet"


def read(path: Path) -> Table | None:
    """Return a table, None where it is not there or damaged: it is then made again."""
    try:
        found = pq.read_table(path)
        made_by = json.loads(found.schema.metadata[ABOUT])["made_by"]
    except (OSError, pa.ArrowException, TypeError, KeyError, ValueError):
        return None
    scores = {name: np.asarray(found[name].to_numpy(zero_copy_only=False), np.float64) for name in made_by if name in found.column_names}
    return Table(found["id"].to_pylist(), found["uid"].to_pylist(), [why or "" for why in found["skipped"].to_pylist()], scores, made_by)


def write(path: Path, table: Table, shard: Shard) -> None:
    """Write a table atomically: columns id, uid, skipped (null if the row can be used), and the scores (null where there is none)."""
    columns = {
        "id": pa.array(table.ids, pa.string()),
        "uid": pa.array(table.uids, pa.string()),
        "skipped": pa.array([why or None for why in table.skipped], pa.string()),
        **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in table.scores.items()},
    }
    about: dict[str, Json] = {"shard": shard.name, "digest": shard.digest, "made_by": dict(table.made_by)}
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns).replace_schema_metadata({ABOUT: json.dumps(about)}), temporary)


def remove_stale(folder: Path, shards: Sequence[Shard], ending: str) -> int:
    """Remove files of shards that the pool no longer has, in a folder of ours, and what killed processes left; return how many."""
    remove_abandoned(folder)
    current = {f"{shard.stem}{ending}" for shard in shards}
    stale = [path for path in folder.glob(f"*{ending}") if path.name not in current]
    for path in stale:
        path.unlink()
    return len(stale)


def each(out: Path, shards: Sequence[Shard]) -> Iterator[Table]:
    """Yield the table of every shard, in order."""
    for shard in shards:
        table = read(path_of(out, shard))
        assert table is not None, shard.name  # made just before
        yield table
