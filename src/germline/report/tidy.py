"""Every measurement in one table, a row a run, generation, metric and seed; and what of it a paper prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from germline.chain import Chain
from germline.core.digest import Json
from germline.core.measurement import Measurement
from germline.measure import measured
from germline.report.compare import arm_name

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("study", "arm", "run", "data")),
        ("seed", pa.int64()),
        ("generation", pa.int64()),
        *((name, pa.string()) for name in ("metric", "of", "extractor")),
        *((name, pa.int64()) for name in ("n", "k", "d")),
        *((name, pa.float64()) for name in ("value", "low", "high")),
    ]
)


@dataclass(frozen=True)
class Record:
    """What a run's folder says, without its images: what comparisons and tables need."""

    name: str
    seed: int
    config: dict[str, Json]
    values: tuple[tuple[Measurement, ...], ...]

    @property
    def splits(self) -> str:
        """The digest of the data; it holds that of a given pool too, so that a run with one stands apart in a table."""
        return str(self.config["data"])

    @property
    def names(self) -> dict[str, Json]:
        """What rebuilds the run by name; empty where it was made in Python."""
        names = self.config.get("names")
        return names if isinstance(names, dict) else {}


def read(path: Path) -> Record:
    """Return the record of the run in a folder.

    Raises:
        RunConflict: the folder holds no run.
        Corrupt: a file of the run is damaged.
    """
    chain = Chain(path)
    values = tuple(tuple(measured(generation)) for generation in chain.generations())
    return Record(path.name, chain.seed, chain.config, values)


def by_data(runs: Sequence[Record]) -> list[list[Record]]:
    """Return the runs apart by data set, in the order given."""
    groups: dict[str, list[Record]] = {}
    for run in runs:
        groups.setdefault(run.splits, []).append(run)
    return list(groups.values())


def tidy(runs: Sequence[Record]) -> pa.Table:
    """Return one row a run, generation, metric and seed; ``low`` and ``high`` are metric noise. Curves have no place in it.

    ``study`` is null for a run of its own, ``data`` the name of the set, else the digest of its rows.
    """
    rows = [
        {**_whose(run), "generation": g, "metric": v.name, **{name: getattr(v, name) for name in SCHEMA.names[7:]}}
        for run in runs
        for g, values in enumerate(run.values)
        for v in values
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _whose(run: Record) -> dict[str, str | int | None]:
    flags = run.names.get("data")
    data = flags.get("data") if isinstance(flags, dict) else None
    study = run.names.get("study")
    return {
        "study": str(study) if study else None,
        "arm": arm_name(run),
        "run": run.name,
        "data": str(data or run.config["data"]),
        "seed": run.seed,
    }
