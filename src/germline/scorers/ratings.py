"""A file of ratings as a score: people's, or another program's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64
from PIL import Image

from germline.core import foreign
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import GIVEN, REAL, Pool
from germline.core.scores import pair_of
from germline.core.tables import number, table

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
        missing: what a row without one gets; None makes it an error. So is an offer of a run of which nothing is told apart.
        name: of the column in the pool.

    Raises:
        BadInput: there is no such table or column, a rating is no number, a row has none or two, or a generation of a run was to choose
            among rows that nobody rated.
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
        out = self.found(pool)
        if (lacking := np.flatnonzero(np.isnan(out))).size and _choosing(pool, ctx):
            self._refuse_untold(out, pool, ctx)
        if lacking.size and self.missing is None:
            raise BadInput(
                f"Ratings: {self.path} has no {self.column} for {_named(pool, int(lacking[0]))}; rate it, or say what it gets: missing=0."
            )
        return np.where(np.isnan(out), np.float64(0 if self.missing is None else self.missing), out)

    def found(self, pool: Pool) -> Float64[np.ndarray, " n"]:
        """Return one rating a row, NaN where the table has none."""
        rated = self._rated(pool.images.shape[3])
        return np.array([next((rated[key] for key in keys if key in rated), math.nan) for keys in self._keys(pool, rated)], np.float64)

    def _refuse_untold(self, found: Float64[np.ndarray, " n"], pool: Pool, ctx: Context) -> None:
        """Refuse an offer whose rows all get ``missing``: what is equal is chosen in the order of its captions."""
        rated = found[~np.isnan(found)]
        if (rated != self.missing).any():
            return
        *_, last = made = np.unique(pool.generation).tolist()
        said = f"rates {len(rated)} of them, each {self.missing:g} as what it lacks" if len(rated) else "rates none of them"
        page = f" (germline vote keep {quote(str(ctx.generations[-1].path.parent))} --generation {last})" if last >= 0 else ""
        raise BadInput(
            f"Ratings: generation {ctx.generation} chooses among {len(pool)} rows of {' and '.join(map(_whose, made))}, but"
            f" {self.path} {said}. Let people vote on these images{page}, and go on with their ratings in a fork: docs/vote.md."
        )

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
        for place, line in enumerate(table(self.path)):
            where = f"{self.path} entry {place}"
            if lacking := [name for name in (WHOSE[self.by], self.column) if line.get(name) in (None, "")]:
                raise BadInput(f"Ratings: {where} lacks {lacking[0]}; it has {', '.join(line) or 'nothing'}.")
            key = self._key(line, where, channels)
            if key in out:
                raise BadInput(f"Ratings: {where} rates {line[WHOSE[self.by]]} again; give each one number, such as the mean.")
            out[key] = number(line[self.column], where)
        return out

    def _key(self, line: Mapping[str, object], where: str, channels: int) -> Key:
        value = line[WHOSE[self.by]]
        if self.by == "row":
            generation = line.get("generation")
            return None if generation in (None, "") else int(number(generation, where)), int(number(value, where))
        if self.by == "image":
            return str(value).lower()
        picture = self.path.parent / str(value)
        try:
            pixels = np.asarray(Image.open(picture).convert("L" if channels == 1 else "RGB"))
        except OSError as error:
            raise BadInput(f"Ratings: {where} rates {picture}, which cannot be read ({error}).") from error
        return pair_of(pixels.reshape(*pixels.shape[:2], channels), "")[0]


def _choosing(pool: Pool, ctx: Context) -> bool:
    """Return whether a generation of a run chooses among these rows: metrics look at its own samples, and at real ones."""
    return bool(ctx.generations) and int(pool.generation.max()) not in (REAL, ctx.generation)


def _named(pool: Pool, row: int) -> str:
    generation, number = pool.origin[row].tolist()
    return f"row {number} of {_whose(generation)}"


def _whose(generation: int) -> str:
    return {REAL: "the real data", GIVEN: "the given pool"}.get(generation, f"generation {generation}")
