"""Other people's chains: plain folders of images as a run of germline's, to be measured, judged, compared and shown."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from germline.chain import CONFIG, FILES, Chain
from germline.core import digest, sealed
from germline.core.context import Execution
from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError, RunConflict
from germline.core.generation import CHOICE, IMAGES, MODEL, ROWS, column_of, folder
from germline.core.pool import REAL, UNKNOWN, Pool, Source
from germline.core.progress import Progress, silent
from germline.core.splits import NAMES, Splits
from germline.data.given import given, split_given
from germline.data.origins import Origins
from germline.diffusion.precision import resolve
from germline.loop import choice_table, versions

ADOPTED = "adopted"
DATA, ALL, OTHER, SPLIT = "data", "images.npy", "unknown.npy", "rows.parquet"


@dataclass(frozen=True)
class Paths:
    """Where things lie: R, the samples of each generation, and what is known beside them.

    ``training`` names T_0, T_1, ..., or only T_1, ... A split that is not named is cut from R.
    """

    real: Path
    generations: tuple[Path, ...]
    training: tuple[Path, ...] = ()
    reserve: Path | None = None
    judge: Path | None = None
    held_out: Path | None = None


@dataclass(frozen=True, eq=False)
class Adoption:
    """A chain that was read: the splits, S_g and, where it is known, T_g. ``notes`` say what a reader of its numbers must know."""

    data: Splits
    samples: tuple[Pool, ...]
    training: tuple[Pool | None, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the numbers of rows, by split and by generation; where T_g is known, by the generation that made them."""
        return {
            "classes": list(self.data.classes),
            "image_shape": list(self.data.image_shape),
            "splits": {name: len(getattr(self.data, name)) for name in NAMES},
            "generations": [
                {"samples": len(samples), "training": None if training is None else _counts(training)}
                for samples, training in zip(self.samples, self.training, strict=True)
            ],
            "notes": list(self.notes),
        }


def read(
    paths: Paths,
    *,
    size: int | None = None,
    skip_bad: bool = False,
    judge_share: float = 0.25,
    held_out_share: float = 0.25,
    progress: Progress = silent,
) -> Adoption:
    """Return the chain that lies in plain folders, .npz, .npy or Parquet files.

    A row of T_g is known by its content: it is the real row, or the row of an earlier generation, whose image is the same. One that
    matches nothing is kept as a row of unknown origin.

    Raises:
        BadInput: no generation is named; images cannot be read or differ in size; a class is unknown to R; the number of training sets
            does not fit; R is too small to be cut.
    """
    missing = len(paths.generations) - len(paths.training)
    if not paths.generations:
        raise BadInput("A chain needs at least one generation; name the images of each, in order: --generation S0 --generation S1.")
    if paths.training and missing not in (0, 1):
        raise BadInput(
            f"{len(paths.training)} training sets do not fit {len(paths.generations)} generations: name T_0, T_1, ... of all of them,"
            " or all but T_0."
        )
    load = partial(given, size=size, skip_bad=skip_bad, progress=progress)
    parts = {name: load(path) for name in NAMES if (path := getattr(paths, name)) is not None}
    data = split_given(paths.real.name, parts, {"judge": judge_share, "held_out": held_out_share})
    samples = tuple(load(path).pool(data, number) for number, path in enumerate(paths.generations))
    later: list[Pool | None] = [None] * (missing if paths.training else len(samples))
    cut = [name for name in ("judge", "held_out") if name not in parts]
    notes = _of_cutting(cut)
    if paths.training and missing and not cut:
        later = [data.real]  # R is all that the user calls real, and generation 0 is the model trained on it
    found, origins = later, Origins.of(data, samples)
    for number, path in enumerate(paths.training, len(later)):
        training = origins.pool(load(path), number, data)
        found = [*found, training]
        notes += _of_training(number, training, data)
    if unknown := origins.unknown():
        data = dataclasses.replace(data, real=dataclasses.replace(data.real, sources={**data.real.sources, UNKNOWN: unknown}))
    return Adoption(data, samples, tuple(found), tuple(dict.fromkeys([*notes, *origins.notes])))


def write(adoption: Adoption, out: Path, *, seed: int = 0, arm: str | None = None) -> Chain:
    """Write the chain as a run in the new folder ``out``, which is there whole or not at all, and return it.

    ``arm`` names what the chain is an example of: adopted chains of one arm and different seeds are seeds of that arm.

    Raises:
        RunConflict: ``out`` is there already.
        GermlineError: the disk is full or the folder is read-only.
    """
    if out.exists() or out.is_symlink():
        raise RunConflict(f"{out} is there already, and adopt overwrites nothing; give another --out.")
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        (temporary / DATA).mkdir(parents=True)
        _write(adoption, Chain(temporary), seed, arm or out.name)
        temporary.rename(out)
    except OSError as error:
        raise GermlineError(f"Cannot write {out}: {error.strerror or error}. Free the disk or fix its permissions.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Chain(out)


def adopted_data(chain: Chain) -> Splits:
    """Return the splits of an adopted run, from its own folder.

    Raises:
        BadInput: the run was not adopted.
    """
    about = chain.config["names"]
    about = about.get(ADOPTED) if isinstance(about, dict) else None
    if not isinstance(about, dict) or not isinstance(about["classes"], list):
        raise BadInput(f"{chain.path} is a run of germline's own; open it by its recipe.")
    rows = pq.read_table(chain.path / DATA / SPLIT)
    sources = {REAL: Source.open(chain.path / DATA / ALL)}
    condition, split = column_of(rows, "condition"), column_of(rows, "split")
    origin = np.stack([np.full(len(split), REAL, np.int64), np.arange(len(split), dtype=np.int64)], axis=1)
    whole = Pool(sources, origin, condition, np.zeros(len(split)))
    pools = {name: whole.take(split == name) for name in NAMES}
    if (chain.path / DATA / OTHER).exists():
        both = {**sources, UNKNOWN: Source.open(chain.path / DATA / OTHER)}
        pools["real"] = dataclasses.replace(pools["real"], sources=both)
    return Splits(str(about["name"]), tuple(str(name) for name in about["classes"]), **pools)


def _write(adoption: Adoption, chain: Chain, seed: int, arm: str) -> None:
    data, here = adoption.data, chain.path / DATA
    np.save(here / ALL, data.real.sources[REAL].images, allow_pickle=False)
    if UNKNOWN in data.real.sources:
        np.save(here / OTHER, data.real.sources[UNKNOWN].images, allow_pickle=False)
    order = [getattr(data, name) for name in NAMES]
    split = np.concatenate([np.full(len(pool), name) for name, pool in zip(NAMES, order, strict=True)])
    pq.write_table(pa.table({"split": split, "condition": np.concatenate([pool.condition for pool in order])}), here / SPLIT)
    parts: dict[str, Json] = {"part": "germline.adopt:Adoption", "version": 1, "source": "adopted from folders", "arm": arm}
    config: dict[str, Json] = {
        "parts": parts,
        "seed": seed,
        "data": data.digest,
        "names": {ADOPTED: {"name": data.name, "classes": list(data.classes)}, "arm": arm, "data": {"data": data.name}},
        "versions": versions(),
        "execution": vars(Execution(precision=resolve("auto"))).copy(),
        "files": {f"{DATA}/{path.name}": digest.of_file(path) for path in sorted(here.iterdir())},
    }
    for number, (samples, training) in enumerate(zip(adoption.samples, adoption.training, strict=True)):
        _write_generation(chain, number, samples, training, digest.of_json([ADOPTED, parts]))
    sealed.write(chain.path / CONFIG, config)  # last: what a killed process leaves is no run


def _write_generation(chain: Chain, number: int, samples: Pool, training: Pool | None, parts: str) -> None:
    here = chain.path / folder(number)
    here.mkdir()
    if training is not None:
        pq.write_table(choice_table(training, np.arange(len(training)), "adopted"), here / CHOICE)
    np.save(here / IMAGES, samples.images[:], allow_pickle=False)
    pq.write_table(pa.table({"condition": samples.condition, "attempt": np.zeros(len(samples), np.int64)}), here / ROWS)
    files = [name for name in FILES if name != MODEL and (name != CHOICE or training is not None)]
    about: Mapping[str, Json] = {"images_seen": None, "samples": len(samples)}
    chain.seal(number, parts, about, files)


def _counts(pool: Pool) -> dict[str, Json]:
    names = {REAL: "real", UNKNOWN: "unknown"}
    made, rows = np.unique(pool.generation, return_counts=True)
    return {names.get(int(number), f"generation {number}"): int(n) for number, n in zip(made, rows, strict=True)}


def _of_cutting(cut: Sequence[str]) -> list[str]:
    if not cut:
        return []
    what = " and ".join(cut)
    return [
        f"{what} were cut from R. If the models were trained on all of R, they have seen those rows: distances to them flatter, and"
        " copies of them count as new. Give rows that no model saw: --judge and --held-out."
    ]


def _of_training(number: int, training: Pool, data: Splits) -> list[str]:
    unknown, seen = int((training.generation == UNKNOWN).sum()), 0
    if training.real.any():
        rows = training.origin[training.real, 1]
        seen = int(np.isin(rows, data.held_out.origin[:, 1]).sum())
    notes = []
    if unknown:
        notes.append(f"T_{number}: {unknown} of {len(training)} rows match neither a real row nor an earlier generation's; origin unknown.")
    if seen:
        notes.append(f"T_{number} holds {seen} rows of the held-out split, so numbers against it flatter; give rows that no model saw.")
    return notes
