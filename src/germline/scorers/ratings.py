"""A file of ratings as a score: people's, or another program's."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64
from PIL import Image

from germline.core import foreign
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.scores import pair_of

Key = tuple[int | None, int] | str
WHOSE = {"row": "row", "image": "image", "file": "file_name"}


@dataclass(frozen=True)
class Ratings:
    """The number that a table holds for a row: CSV, Parquet, JSON (a list of objects) or JSONL. Every row needs one, and only one.

    ``by`` says how a row is found. "row": columns ``row`` and, where the pool has rows of several, ``generation`` (-1: real). "image":
    the column ``image``, the sha256 of a row's pixels as the files of kept scores have it. "file": the column ``file_name``, a picture
    beside the table; it is found by its content, so the pool must hold the pictures unchanged.

    Attributes:
        path: the table.
        by: how a row is found.
        column: the ratings.
        missing: what a row without one gets; None makes it an error.
        name: of the column in the pool.

    Raises:
        BadInput: there is no such table or column, a rating is no number, or a row has none or two.
    """

    path: Path
    by: Literal["row", "image", "file"] = "row"
    column: str = "score"
    missing: float | None = None
    name: str = "ratings"
    preprocessing: ClassVar[str] = "none"

    def __post_init__(self) -> None:
        foreign.present(self.path, "Ratings")

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one rating a row."""
        rated = self._rated(pool.images.shape[3])
        out = np.empty(len(pool))
        for row, keys in enumerate(self._keys(pool, rated)):
            found = next((rated[key] for key in keys if key in rated), self.missing)
            if found is None:
                raise BadInput(
                    f"Ratings: {self.path} has no {self.column} for {_named(pool, row)}; rate it, or say what it gets: missing=0."
                )
            out[row] = found
        return out

    def _keys(self, pool: Pool, rated: Mapping[Key, float]) -> list[tuple[Key, ...]]:
        """Return what each row may be called in the table."""
        if self.by != "row":
            return [(pair_of(image, "")[0],) for block in pool.images.blocks(256) for image in block]
        alone = len(np.unique(pool.generation)) == 1
        if not alone and any(isinstance(key, tuple) and key[0] is None for key in rated):
            raise BadInput(f"Ratings: the pool has rows of several generations, so {self.path} needs a column generation.")
        return [((generation, row), (None, row)) for generation, row in pool.origin.tolist()]

    def _rated(self, channels: int) -> dict[Key, float]:
        """Return the ratings by what they are of."""
        out: dict[Key, float] = {}
        for number, line in enumerate(table(self.path)):
            where = f"{self.path} entry {number}"
            if lacking := [name for name in (WHOSE[self.by], self.column) if line.get(name) in (None, "")]:
                raise BadInput(f"Ratings: {where} lacks {lacking[0]}; it has {', '.join(line) or 'nothing'}.")
            key = self._key(line, where, channels)
            if key in out:
                raise BadInput(f"Ratings: {where} rates {line[WHOSE[self.by]]} again; give each one number, such as the mean.")
            out[key] = _number(line[self.column], where)
        return out

    def _key(self, line: Mapping[str, object], where: str, channels: int) -> Key:
        value = line[WHOSE[self.by]]
        if self.by == "row":
            generation = line.get("generation")
            return None if generation in (None, "") else int(_number(generation, where)), int(_number(value, where))
        if self.by == "image":
            return str(value).lower()
        picture = self.path.parent / str(value)
        try:
            pixels = np.asarray(Image.open(picture).convert("L" if channels == 1 else "RGB"))
        except OSError as error:
            raise BadInput(f"Ratings: {where} rates {picture}, which cannot be read ({error}).") from error
        return pair_of(pixels.reshape(*pixels.shape[:2], channels), "")[0]


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


def _number(value: object, where: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"Ratings: {where} holds {value!r} where a number should be.")
    return number


def _named(pool: Pool, row: int) -> str:
    generation, number = pool.origin[row].tolist()
    return f"row {number} of {'the real data' if generation == -1 else f'generation {generation}'}"
