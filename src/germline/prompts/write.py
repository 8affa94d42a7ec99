"""A stage's outcome on disk: the kept rows, the rejected ones with their reasons, and a report; each file whole or not there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core import sealed
from germline.core.atomic import replacing
from germline.core.digest import Json
from germline.core.errors import BadInput

FORMATS = (".parquet", ".jsonl")
BLOCK = 4096  # rows that are Python objects at once


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a stage decided: rows kept, rows rejected (with ``reason`` and ``detail``), and what is to be said of all of them."""

    kept: pa.Table
    rejected: pa.Table
    about: Mapping[str, Json] = field(default_factory=dict)

    def report(self) -> dict[str, Json]:
        """Return counts in and out, the number of rejections for each reason, and what else the stage says."""
        reasons: dict[str, Json] = {}
        if "reason" in self.rejected.column_names:
            reasons = {str(c["values"]): int(c["counts"]) for c in self.rejected["reason"].value_counts().to_pylist()}
        total = len(self.kept) + len(self.rejected)
        return {"in": total, "kept": len(self.kept), "rejected": len(self.rejected), "reasons": reasons, **self.about}


def beside(out: Path) -> tuple[Path, Path]:
    """Return where the rejected rows and the report of ``out`` lie: NAME.rejected.parquet and NAME.report.json."""
    return out.with_name(f"{out.stem}.rejected{out.suffix}"), out.with_name(f"{out.stem}.report.json")


def check_out(out: Path, sources: Sequence[Path | str]) -> None:
    """Raise unless ``out`` can be written without loss: before the work, not after it.

    Raises:
        BadInput: neither Parquet nor JSON lines by its name, or one of the sources.
    """
    check_format(out)
    if out.resolve() in {Path(source).resolve() for source in sources}:
        raise BadInput(f"--out {out} is a file that is read, and would be overwritten; give another name.")


def check_format(out: Path) -> None:
    """Raise unless ``out`` is Parquet or JSON lines by its name.

    Raises:
        BadInput: another suffix.
    """
    if out.suffix.lower() not in FORMATS:
        raise BadInput(f"--out must end in {' or '.join(FORMATS)}, but is {out}.")


def write(outcome: Outcome, out: Path) -> None:
    """Write an outcome; ``out`` itself comes last, so where it is new the other two are too."""
    rejected, report = beside(out)
    write_table(outcome.rejected, rejected)
    sealed.write(report, outcome.report())
    write_table(outcome.kept, out)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet or JSON lines, atomically."""
    check_format(path)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".parquet":
            pq.write_table(table, temporary, compression="zstd")
            return
        with temporary.open("w", encoding="utf-8") as file:
            for batch in table.to_batches(max_chunksize=BLOCK):
                # a file's other columns may hold dates
                file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in batch.to_pylist())
