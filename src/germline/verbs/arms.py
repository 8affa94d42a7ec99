"""Pictures to vote on: of a generation of a run, of an evaluation's folder, or of any pool."""

import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import UInt8

from germline import registry
from germline.chain import CONFIG, Chain
from germline.core.errors import BadInput, GermlineError
from germline.core.generation import IMAGES, RECORD, ROWS, column_of
from germline.core.pool import Pool, Source
from germline.data.pictures import Unreadable
from germline.pools import Row, shards_of
from germline.pools.blocks import Fit, image_of
from germline.studio.ballot import Arm, Picture
from germline.verbs.arguments import FOLDER


def arm_of(source: str, generation: int | None = None) -> Arm:
    """Return the pictures of a source.

    It is a run (its last generation, or ``generation``), a folder with samples.npy and samples.parquet (a generation's, an evaluation's),
    or a pool (pictures of any size, tars, Parquet, arrays). A run is named NAME-006, other sources as they are called. Pictures are read
    when they are needed, but those of Parquet and tars.

    Raises:
        BadInput: there is nothing there, no such generation, or the folder holds several runs.
    """
    path = Path(source)
    if not path.exists() and (FOLDER / path / CONFIG).exists():
        path = FOLDER / path
    if (path / CONFIG).exists():
        return _of_run(path, generation)
    if generation is not None:
        raise BadInput(f"--generation goes with runs, but {source} is none.")
    if (path / IMAGES).exists() and (path / ROWS).exists():
        return _of_samples(path)
    if path.is_dir() and any(path.glob(f"**/gen_000/{RECORD}")):
        raise BadInput(f"{source} holds runs; name one of them: {', '.join(map(str, registry.runs_under(path)))}.")
    return _of_pool(source)


def _of_run(path: Path, generation: int | None) -> Arm:
    chain = Chain(path)
    if not len(chain):
        raise BadInput(f"{path} has no finished generation yet.")
    number = len(chain) - 1 if generation is None else generation
    if not 0 <= number < len(chain):
        raise BadInput(f"{path} has generations 0 to {len(chain) - 1}, and no {number}.")
    return _named(f"{path.resolve().name}-{number:03d}", chain[number].samples, path)


def _of_samples(path: Path) -> Arm:
    pool = Pool.of(Source.open(path / IMAGES), column_of(pq.read_table(path / ROWS), "condition"))
    folder, run = path.resolve(), path.resolve().parent
    is_generation = folder.name.startswith("gen_") and (run / CONFIG).exists()
    return _named(f"{run.name}-{folder.name[4:]}" if is_generation else folder.name, pool, run if is_generation else None)


def _named(name: str, pool: Pool, run: Path | None) -> Arm:
    """Return a pool's pictures; classes have their names where the run's data can be opened."""
    prompts = pool.condition
    if np.issubdtype(prompts.dtype, np.integer):
        classes: tuple[str, ...] = ()
        with suppress(GermlineError):  # of a run that was made in Python, or whose data are gone, the numbers do
            classes = registry.open_run(run).data.classes if run is not None else ()
        prompts = np.array([classes[number] if number < len(classes) else f"class {number}" for number in prompts.tolist()])
    read = [partial(_row_of, pool, row) for row in range(len(pool))]
    return Arm(name, tuple(Picture(f"row {row}", str(prompts[row]), read[row]) for row in range(len(pool))))


def _row_of(pool: Pool, row: int) -> UInt8[np.ndarray, "h w c"]:
    image: np.ndarray = pool.images[[row]][0]
    return image


def _of_pool(source: str) -> Arm:
    opened = shards_of(source)
    rows = [row for shard in opened.shards for row in shard.rows()]
    left = [(row.id, row.skipped) for row in rows if row.skipped]
    if left:
        warnings.warn(f"{source}: {len(left)} pictures are left out, the first is {left[0][0]}: {left[0][1]}", stacklevel=2)
    used = [row for row in rows if not row.skipped]
    return Arm(Path(source).resolve().name or source, tuple(Picture(row.id, _prompt(row), partial(_read, source, row)) for row in used))


def _prompt(row: Row) -> str:
    if row.text or row.label is None:
        return row.text
    return row.label if isinstance(row.label, str) else f"class {row.label}"


def _read(source: str, row: Row) -> UInt8[np.ndarray, "h w c"]:
    try:
        return image_of(row, Fit())
    except Unreadable as reason:
        raise BadInput(f"{source}: {row.id}: {reason}. Repair or remove it.") from reason
