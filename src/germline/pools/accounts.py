"""Every file and row of a pool, accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.atomic import replacing
from germline.core.digest import Json
from germline.pools import table as tables
from germline.pools.opened import Opened

SKIPPED = "skipped.parquet"


@dataclass(frozen=True)
class Account:
    """How many rows can be used, and how many files and rows cannot; ``companions`` are files that only tell something of rows."""

    shards: int
    usable: int
    skipped: int
    companions: int

    def text(self) -> str:
        """Return the account in words."""
        told = f"; {self.companions:,} files of captions or metadata" if self.companions else ""
        return (
            f"{self.usable:,} rows in {self.shards:,} shards, {self.skipped:,} left out{f' (why: {SKIPPED})' if self.skipped else ''}{told}"
        )

    def to_json(self) -> dict[str, Json]:
        """Return the numbers."""
        return {"shards": self.shards, "rows": self.usable, "skipped": self.skipped, "companions": self.companions}


def account(pool: Opened, out: Path) -> Account:
    """Write ``skipped.parquet`` (id, reason) of what could not be used, when all shards are made, and return the account."""
    usable = 0
    names, reasons = [name for name, _ in pool.skipped], [reason for _, reason in pool.skipped]
    for table in tables.each(out, pool.shards):
        for name, reason in zip(table.ids, table.skipped, strict=True):
            if reason:
                names.append(name)
                reasons.append(reason)
        usable += int(table.usable.sum())
    with replacing(out / SKIPPED) as temporary:
        pq.write_table(pa.table({"id": pa.array(names, pa.string()), "reason": pa.array(reasons, pa.string())}), temporary)
    return Account(len(pool.shards), usable, len(names), len(pool.companions))
