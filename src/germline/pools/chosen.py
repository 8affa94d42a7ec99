"""A choice on disk: lists of rows for any tool, and on demand the chosen pictures themselves."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from germline.core.atomic import new_folder, replacing
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.progress import Progress, silent
from germline.pools import table as tables
from germline.pools.opened import Opened
from germline.pools.select import Choice
from germline.pools.shard import Row

CHOSEN, DROPPED, UIDS = "chosen.parquet", "dropped.parquet", "uids.npy"
TAR = 10_000  # rows of a new shard
ENDINGS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif", "JPEG2000": "jp2"}


@dataclass(frozen=True)
class Chosen:
    """A chosen row: its number in the sorted list, where it is in the pool, and what ``chosen.parquet`` says of it."""

    number: int
    shard: int
    row: int
    about: dict[str, Json]


def write(choice: Choice, pool: Opened, out: Path) -> list[Chosen]:
    """Write the lists, and return the chosen rows in the order of the pool.

    ``chosen.parquet``: id, uid, shard, row (in the shard), order (of choice, from 0), score, weight, reason. A weight
    other than 1 is the number of rows that a far row stands for, over the mean.
    ``uids.npy``: their uids as pairs of uint64, sorted, as DataComp reads a subset. ``dropped.parquet``: id, uid, reason.
    """
    order = {int(place): number for number, place in enumerate(choice.places)}
    dropped = {int(place): reason for places, reason in choice.dropped for place in places}
    chosen: list[Chosen] = []
    gone: dict[str, list[str]] = {"id": [], "uid": [], "reason": []}
    start = 0
    for number, (shard, table) in enumerate(zip(pool.shards, tables.each(out, pool.shards), strict=True)):
        for row, (identity, uid) in enumerate(zip(table.ids, table.uids, strict=True)):
            place = start + row
            if place in order:
                score = float(choice.scores[order[place]])
                weight = 1.0 if choice.weights is None else float(choice.weights[order[place]])
                about: dict[str, Json] = {
                    "id": identity, "uid": uid, "shard": shard.name, "row": row, "order": order[place],
                    "score": score if np.isfinite(score) else None, "weight": weight, "reason": choice.reason,
                }  # fmt: skip
                chosen.append(Chosen(len(chosen), number, row, about))
            elif place in dropped:
                for name, value in zip(gone, (identity, uid, dropped[place]), strict=True):
                    gone[name].append(value)
        start += len(table)
    kinds = {"row": pa.int64(), "order": pa.int64(), "score": pa.float64(), "weight": pa.float64()}
    columns = {name: pa.array([one.about[name] for one in chosen], kinds.get(name, pa.string())) for name in chosen[0].about}
    with replacing(out / CHOSEN) as temporary:
        pq.write_table(pa.table(columns), temporary)
    with replacing(out / DROPPED) as temporary:
        pq.write_table(pa.table({name: pa.array(values, pa.string()) for name, values in gone.items()}), temporary)
    with replacing(out / UIDS) as temporary, temporary.open("wb") as file:
        np.save(file, uid_array([str(one.about["uid"]) for one in chosen]))
    return chosen


def uid_array(uids: list[str]) -> np.ndarray:
    """Return uids of 32 hex digits as a sorted array of pairs of uint64, upper half first: the form of DataComp's subset files."""
    return np.sort(np.array([(int(uid[:16], 16), int(uid[16:], 16)) for uid in uids], np.dtype("u8,u8")))


def copy(chosen: list[Chosen], pool: Opened, to: Path, link: bool = False, progress: Progress = silent) -> None:
    """Write the chosen pictures, as they are stored, and metadata.jsonl into a new folder; with ``link``, links to their files instead.

    Raises:
        BadInput: ``to`` is there already, or a row is no file of its own on this machine that could be linked to.
    """
    with new_folder(to) as temporary, progress(f"{'link' if link else 'copy'} to {to.name}", len(chosen)) as advance:
        (temporary / "images").mkdir()
        with (temporary / "metadata.jsonl").open("w", encoding="utf-8") as lines:
            for one, row in _rows(chosen, pool):
                data, ending = stored(row)
                name = f"images/{one.number:08d}.{ending}"
                if link and row.file is None:
                    raise BadInput(f"{row.id} is no file of its own on this machine, so there is nothing to link to; use --copy.")
                if link:
                    (temporary / name).symlink_to(Path(str(row.file)).absolute())
                else:
                    (temporary / name).write_bytes(data)
                lines.write(json.dumps({"file_name": name, **_told(row), **one.about}, ensure_ascii=False) + "\n")
                advance(1)


def shards(chosen: list[Chosen], pool: Opened, to: Path, progress: Progress = silent) -> None:
    """Write the chosen pictures as WebDataset tars of 10,000 rows into a new folder: KEY.png or as stored, KEY.txt, KEY.json.

    Raises:
        BadInput: ``to`` is there already.
    """
    with new_folder(to) as temporary, progress(f"write {to.name}", len(chosen)) as advance:
        rows = _rows(chosen, pool)
        for number in range(-(-len(chosen) // TAR)):
            with tarfile.open(temporary / f"{number:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
                for _ in range(min(TAR, len(chosen) - number * TAR)):
                    one, row = next(rows)
                    data, ending = stored(row)
                    _add(tar, f"{one.number:08d}.{ending}", data)
                    if row.text:
                        _add(tar, f"{one.number:08d}.txt", row.text.encode())
                    _add(tar, f"{one.number:08d}.json", json.dumps({**_told(row), **one.about}, ensure_ascii=False).encode())
                    advance(1)


def stored(row: Row) -> tuple[bytes, str]:
    """Return a picture's bytes and the ending that its content asks for; arrays become PNG."""
    if row.pixels is not None:
        file = io.BytesIO()
        Image.fromarray(row.pixels[..., 0] if row.pixels.shape[2] == 1 else row.pixels).save(file, "PNG")
        return file.getvalue(), "png"
    data = row.stored()
    with Image.open(io.BytesIO(data)) as picture:
        return data, ENDINGS.get(str(picture.format), str(picture.format).lower())


def _rows(chosen: list[Chosen], pool: Opened) -> Iterator[tuple[Chosen, Row]]:
    """Yield the chosen rows, each shard read once, and no farther than needed."""
    by_shard: dict[int, dict[int, Chosen]] = {}
    for one in chosen:
        by_shard.setdefault(one.shard, {})[one.row] = one
    for number, wanted in by_shard.items():
        for place, row in enumerate(pool.shards[number].rows()):
            if place in wanted:
                if row.pixels is None and row.read is None:
                    raise BadInput(
                        f"{row.id} is an embedding without a picture, so there is nothing to copy; leave --copy and the like out."
                    )
                yield wanted.pop(place), row
            if not wanted:
                break
        if wanted:
            raise BadInput(f"{pool.shards[number].name} changed while rows were chosen from it; run the same command again.")


def _told(row: Row) -> dict[str, Json]:
    return {**({"text": row.text} if row.text else {}), **({"label": row.label} if row.label is not None else {})}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file with fixed owner, mode and date (1970)."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))
