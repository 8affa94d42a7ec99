"""A pool in formats that other tools open: class folders with metadata, Parquet, WebDataset tars."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from germline.core.atomic import new_folder
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.progress import Advance, Progress, silent
from germline.data.marks import marks_of_made

Format = Literal["imagefolder", "parquet", "webdataset"]
BLOCK, SHARD = 500, 5_000


def export(pool: Pool, classes: tuple[str, ...], out: Path | str, format: Format = "imagefolder", progress: Progress = silent) -> None:
    """Write a pool to the new folder ``out``: lossless PNGs with condition, origin (generation, row) and, if they differ, log-weights.

    "imagefolder": a sub-folder a class and ``metadata.jsonl``. "parquet": ``data-00000-of-0000N.parquet`` with the datasets
    library's Image and ClassLabel. "webdataset": ``00000.tar``, ... of KEY.png, KEY.cls or KEY.txt, and KEY.json, with equal bytes for
    equal pools. A folder is there whole or not at all. Every made image says so: its digital source type is trainedAlgorithmicMedia
    (IPTC, in XMP); real rows and those of unknown origin are not marked.

    Raises:
        BadInput: ``out`` is there already, the format is unknown, or a condition is no class.
        GermlineError: the disk is full or the folder is read-only.
    """
    out = Path(out)
    writers: dict[str, Callable[[Iterator[_Row], _Plan, Path, Advance], None]] = {
        "imagefolder": _imagefolder,
        "parquet": _parquet,
        "webdataset": _webdataset,
    }
    if format not in writers:
        raise BadInput(f"export knows the formats {', '.join(writers)}, but was asked for {format!r}.")
    with new_folder(out) as temporary:
        plan = _plan(pool, classes)
        with progress(f"export {out.name}", len(pool)) as advance:
            writers[format](_rows(pool), plan, temporary, advance)


@dataclass(frozen=True)
class _Plan:
    """Rows in all, class names, and the folder of each class; no names when the conditions are prompts. Whether rows are ``weighed``."""

    rows: int
    classes: tuple[str, ...]
    folders: tuple[str, ...]
    weighed: bool = False


@dataclass(frozen=True)
class _Row:
    """One sample: its file's stem, its PNG, its condition and where it came from."""

    key: str
    png: bytes
    condition: int | str
    generation: int
    row: int
    log_weight: float


def _plan(pool: Pool, classes: tuple[str, ...]) -> _Plan:
    if not len(pool):
        raise BadInput("export was given an empty pool; there is nothing to write.")
    if not np.issubdtype(pool.condition.dtype, np.integer):
        return _Plan(len(pool), (), (), bool(pool.log_weight.any()))
    bad = np.flatnonzero((pool.condition < 0) | (pool.condition >= len(classes)))
    if len(bad):
        raise BadInput(f"Row {bad[0]} has condition {pool.condition[bad[0]]}, but the classes count from 0 to {len(classes) - 1}.")
    folders = [_folder_name(name) or str(number) for number, name in enumerate(classes)]
    lower = [name.lower() for name in folders]
    unique = [name if lower.count(name.lower()) == 1 else f"{number}-{name}" for number, name in enumerate(folders)]
    return _Plan(len(pool), tuple(classes), tuple(unique), bool(pool.log_weight.any()))


def _folder_name(name: str) -> str:
    """Return a class name that every file system takes: "T-shirt/top" becomes "T-shirt-top"."""
    kept = "".join(letter if letter.isprintable() and letter not in '/\\:*?"<>|' else "-" for letter in name)
    return kept.strip(" .")[:100]


def _rows(pool: Pool) -> Iterator[_Row]:
    width = len(str(len(pool) - 1))
    for start in range(0, len(pool), BLOCK):
        block = pool.take(np.arange(start, min(start + BLOCK, len(pool))))
        for offset, image in enumerate(block.images[:]):
            generation, row = (int(value) for value in block.origin[offset])
            yield _Row(
                f"{start + offset:0{width}d}",
                _png(image, generation >= 0),
                block.condition[offset].item(),
                generation,
                row,
                float(block.log_weight[offset]),
            )


def _png(image: np.ndarray, made: bool) -> bytes:
    file = io.BytesIO()
    marks = marks_of_made() if made else None
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG", pnginfo=marks)
    return file.getvalue()


def _about(row: _Row, plan: _Plan) -> dict[str, Json]:
    condition: dict[str, Json] = {"text": row.condition}
    if isinstance(row.condition, int):
        condition = {"label": row.condition, "class": plan.classes[row.condition]}
    weight: dict[str, Json] = {"log_weight": row.log_weight} if plan.weighed else {}
    return {**condition, "generation": row.generation, "row": row.row, **weight}


def _imagefolder(rows: Iterator[_Row], plan: _Plan, out: Path, advance: Advance) -> None:
    for name in plan.folders or ("images",):
        (out / name).mkdir()
    with (out / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for row in rows:
            name = f"{plan.folders[row.condition] if isinstance(row.condition, int) else 'images'}/{row.key}.png"
            (out / name).write_bytes(row.png)
            lines.write(json.dumps({"file_name": name, **_about(row, plan)}, ensure_ascii=False) + "\n")
            advance(1)
    for folder in plan.folders:
        if not any((out / folder).iterdir()):
            (out / folder).rmdir()


def _parquet(rows: Iterator[_Row], plan: _Plan, out: Path, advance: Advance) -> None:
    condition = ("label", pa.int64()) if plan.classes else ("text", pa.string())
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    weight = [("log_weight", pa.float64())] if plan.weighed else []
    schema = pa.schema([("image", image), condition, ("generation", pa.int64()), ("row", pa.int64()), *weight])
    features: dict[str, Json] = {
        "image": {"_type": "Image"},
        condition[0]: {"names": list(plan.classes), "_type": "ClassLabel"} if plan.classes else {"dtype": "string", "_type": "Value"},
        **{name: {"dtype": "int64", "_type": "Value"} for name in ("generation", "row")},
        **{name: {"dtype": "float64", "_type": "Value"} for name, _ in weight},
    }
    schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    shards = -(-plan.rows // SHARD)
    for shard in range(shards):
        with pq.ParquetWriter(out / f"data-{shard:05d}-of-{shards:05d}.parquet", schema) as file:
            for block in _blocks(rows, min(SHARD, plan.rows - shard * SHARD)):
                columns = {
                    "image": [{"bytes": row.png, "path": f"{row.key}.png"} for row in block],
                    condition[0]: [row.condition for row in block],
                    "generation": [row.generation for row in block],
                    "row": [row.row for row in block],
                    **{name: [row.log_weight for row in block] for name, _ in weight},
                }
                file.write_table(pa.table(columns, schema))
                advance(len(block))


def _blocks(rows: Iterator[_Row], count: int) -> Iterator[list[_Row]]:
    for start in range(0, count, BLOCK):
        yield [next(rows) for _ in range(min(BLOCK, count - start))]


def _webdataset(rows: Iterator[_Row], plan: _Plan, out: Path, advance: Advance) -> None:
    for shard in range(-(-plan.rows // SHARD)):
        with tarfile.open(out / f"{shard:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for _ in range(min(SHARD, plan.rows - shard * SHARD)):
                row = next(rows)
                _add(tar, f"{row.key}.png", row.png)
                _add(tar, f"{row.key}.{'cls' if plan.classes else 'txt'}", str(row.condition).encode())
                _add(tar, f"{row.key}.json", json.dumps(_about(row, plan), ensure_ascii=False, sort_keys=True).encode())
                advance(1)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file with fixed owner, mode and date (1970)."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))
