"""One finished step of a chain, as it lies on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int
from safetensors.numpy import load_file

from germline.core import digest, sealed
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool, Source
from germline.core.splits import Splits

if TYPE_CHECKING:
    import pyarrow as pa  # thirty megabytes of memory, which a training alone does without

CHOICE, MODEL, IMAGES, ROWS, RECORD = "choice.parquet", "model.safetensors", "samples.npy", "samples.parquet", "record.json"
Restore = Callable[[Mapping[str, np.ndarray]], object]


def folder(number: int) -> str:
    """Return the name of a generation's folder."""
    return f"gen_{number:03d}"


@dataclass(frozen=True, eq=False)
class Generation:
    """Generation ``number``: its choice (T_g), model (M_g) and samples (S_g). ``earlier`` are the generations before it.

    ``restore`` turns a model's arrays into the model; the loop gives the trainer's.
    """

    number: int
    path: Path
    earlier: tuple[Generation, ...] = ()
    restore: Restore | None = field(default=None, repr=False)

    @cached_property
    def record(self) -> dict[str, digest.Json]:
        """The content of ``record.json``: number, parent's digest, digest of the parts, and the hash of every file."""
        return sealed.read(self.path / RECORD)

    @cached_property
    def digest(self) -> str:
        """The sha256 of ``record.json``. Two runs are equal if and only if their last digests are equal."""
        return digest.of_file(self.path / RECORD)

    def file_digest(self, name: str) -> str:
        """Return the recorded sha256 of one of the generation's files."""
        files = self.record["files"]
        assert isinstance(files, dict)
        return str(files[name])

    @cached_property
    def samples(self) -> Pool:
        """S_g, its images memory-mapped; the column ``attempt`` counts how often a row was drawn."""
        rows = read_table(self.path / ROWS)
        columns = {name: column_of(rows, name) for name in rows.column_names if name != "condition"}
        return Pool.of(Source.open(self.path / IMAGES), column_of(rows, "condition"), self.number, columns)

    @property
    def training_known(self) -> bool:
        """Whether it is on record what T_g was; of an adopted generation it may not be."""
        files = self.record["files"] if (self.path / RECORD).exists() else {CHOICE: ""}
        return isinstance(files, dict) and CHOICE in files

    @cached_property
    def choice(self) -> pa.Table:
        """Every row on offer: generation, row, condition, log_weight, scores, order of choice (-1: not chosen), reason.

        Raises:
            BadInput: the generation was adopted without its training set.
        """
        if not self.training_known:
            raise BadInput(f"What generation {self.number} was trained on is unknown: it was adopted without --train.")
        return read_table(self.path / CHOICE)

    def training(self, data: Splits) -> Pool:
        """Return T_g: the chosen rows in order of choice, with log-weights and scores."""
        order = column_of(self.choice, "order")
        chosen = np.flatnonzero(order >= 0)
        return self.offer(data).take(chosen[np.argsort(order[chosen], kind="stable")])

    def offer(self, data: Splits) -> Pool:
        """Return the pool that the selector chose from, with scores and, as columns, ``order``."""
        table = self.choice
        origin = np.stack([column_of(table, "generation"), column_of(table, "row")], axis=1)
        known = ("generation", "row", "condition", "log_weight", "reason")
        columns = {name: column_of(table, name) for name in table.column_names if name not in known}
        given = {} if data.given is None else data.given.sources
        sources = {**data.real.sources, **given, **{g.number: g.samples.sources[g.number] for g in self.earlier}}
        used = {int(g): sources[int(g)] for g in np.unique(origin[:, 0])}
        return Pool(used, origin, column_of(table, "condition"), column_of(table, "log_weight"), columns)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what ``model.safetensors`` holds."""
        return load_file(self.path / MODEL)

    @cached_property
    def model(self) -> object:
        """M_g, restored.

        Raises:
            GermlineError: the generation was opened without a trainer.
        """
        if self.restore is None:
            raise GermlineError(f"{self.path} was opened without its recipe, so its model cannot be restored; open it through its run.")
        return self.restore(self.arrays())

    def images_seen(self) -> int | None:
        """Return the training budget of this generation in images, where the trainer reports it."""
        seen = self.record.get("images_seen")
        return seen if isinstance(seen, int) else None


def read_table(file: Path) -> pa.Table:
    """Return the table in a Parquet file."""
    import pyarrow.parquet as pq

    return pq.read_table(file)


def column_of(table: pa.Table, name: str) -> np.ndarray:
    """Return a table's column as a numpy array: numbers as they are, text as numpy text."""
    values = table.column(name).to_numpy()
    return values.astype(np.str_) if values.dtype == object else np.array(values)


def rows_of(pool: Pool) -> Int[np.ndarray, " n"]:
    """Return the row numbers of a pool in their sources."""
    return pool.origin[:, 1]


def refuse_fewer_than_none(generations: int) -> None:
    """Let a number of generations after generation 0 pass that there can be.

    Raises:
        BadInput: it is below 0.
    """
    if generations < 0:
        raise BadInput(f"A run has 0 or more generations after generation 0, but {generations} were asked for.")
