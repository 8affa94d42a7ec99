"""Small tables of people's: CSV, Parquet, JSON or JSONL, read whole."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.errors import BadInput


def table(path: Path) -> list[dict[str, object]]:
    """Return the entries of a CSV, Parquet, JSON or JSONL file.

    Raises:
        BadInput: it is of no such kind, or damaged.
    """
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                return [dict(line) for line in csv.DictReader(file)]
        if path.suffix == ".parquet":
            return list(pq.read_table(path).to_pylist())
        if path.suffix in (".json", ".jsonl"):
            text = path.read_text(encoding="utf-8")
            found = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines() if line.strip()]
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise BadInput(f"Ratings: {path} must be a list of objects.")
            return found
    except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"Ratings: {path} cannot be read: {str(error).splitlines()[0]}.") from error
    raise BadInput(f"Ratings: {path} is of no known kind; give .csv, .parquet, .json or .jsonl.")


def number(value: object, where: str) -> float:
    """Return an entry's number.

    Raises:
        BadInput: it is none.
    """
    try:
        found = float(str(value))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise BadInput(f"Ratings: {where} holds {value!r} where a number should be.")
    return found
