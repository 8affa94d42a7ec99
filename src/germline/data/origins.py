"""Where the rows of a foreign training set came from, known by their content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int, UInt8

from germline.core.pool import REAL, UNKNOWN, Pool, Source
from germline.core.splits import Splits
from germline.data.given import Given

Place = tuple[int, int]


@dataclass(eq=False)
class Origins:
    """The places (generation, row) of every known image, by the sha256 of its pixels; images seen nowhere else are collected.

    Equal images are told apart by order: the k-th one in T_g is the k-th of the places that hold it, first those in the generation that
    most of the other rows come from.
    """

    sources: dict[int, Source]
    places: dict[bytes, list[Place]]
    notes: list[str] = field(default_factory=list)
    _strange: dict[bytes, tuple[int, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Splits, samples: Sequence[Pool]) -> Origins:
        """Return the places of the real rows and of every generation's samples."""
        sources = {REAL: data.real.sources[REAL], **{g: pool.sources[g] for g, pool in enumerate(samples)}}
        places: dict[bytes, list[Place]] = {}
        for generation, source in sources.items():
            for row, image in enumerate(source.images):
                places.setdefault(key(image), []).append((generation, row))
        return cls(sources, places)

    def pool(self, training: Given, generation: int, data: Splits) -> Pool:
        """Return T_g with the origin of every row among R and the generations before it, and its weights where the set tells them."""
        images = training.images(data.image_shape)
        told = _told(training.path, len(images))
        origin = self._matched(images, generation, told.get("origin"))
        weights = told.get("log_weight")
        used = {int(g): self.sources[int(g)] for g in np.unique(origin[:, 0]) if g != UNKNOWN}
        if (origin[:, 0] == UNKNOWN).any():
            used[UNKNOWN] = self.unknown() or Source(images[:0])
        return Pool(used, origin, training.condition(data.classes), np.zeros(len(images)) if weights is None else weights)

    def unknown(self) -> Source | None:
        """Return every image that matched nothing so far, or None."""
        return Source(np.stack([image for _, image in self._strange.values()])) if self._strange else None

    def _matched(
        self, images: UInt8[np.ndarray, "n h w c"], generation: int, told: Int[np.ndarray, "n 2"] | None
    ) -> Int[np.ndarray, "n 2"]:
        keys = [key(image) for image in images]
        open_to = {this: [place for place in self.places.get(this, ()) if place[0] < generation] for this in keys}
        sure = Counter(open_to[this][0][0] for this in keys if len({g for g, _ in open_to[this]}) == 1)
        taken, doubtful, out = Counter[bytes](), 0, np.empty((len(images), 2), np.int64)
        for at, this in enumerate(keys):
            places = open_to[this]
            if told is not None and (place := (int(told[at, 0]), int(told[at, 1]))) in places:
                out[at] = place
            elif places:
                likely = sorted(places, key=lambda place: -sure[place[0]])  # else as they are: real rows first, in order
                out[at] = likely[min(taken[this], len(places) - 1)]
                taken[this] += 1
                doubtful += len({g for g, _ in places}) > 1
            else:
                out[at] = UNKNOWN, self._strange.setdefault(this, (len(self._strange), images[at]))[0]
        if doubtful:
            self.notes.append(
                f"T_{generation}: {doubtful} of {len(images)} rows have an image that several of R and the generations hold; they are taken"
                " to come from where most of the other rows do."
            )
        return out


def key(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    """Return the sha256 of an image's pixels."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()


def _told(path: Path, rows: int) -> dict[str, np.ndarray]:
    """Return what an exported set says of its rows: ``origin`` and ``log_weight``. Origins are believed only where the content agrees."""
    wanted, table = ("generation", "row", "log_weight"), None
    try:
        if (path / "metadata.jsonl").is_file():
            records = [json.loads(line) for line in (path / "metadata.jsonl").read_text(encoding="utf-8-sig").splitlines() if line.strip()]
            table = {name: np.array([record[name] for record in records]) for name in wanted if all(name in record for record in records)}
        elif files := sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.suffix == ".parquet" else []:
            names = [name for name in wanted if name in pq.ParquetFile(files[0]).schema_arrow.names]
            found = pa.concat_tables([pq.read_table(file, columns=names) for file in files])
            table = {name: found.column(name).to_numpy() for name in names}
    except (ValueError, TypeError, pa.ArrowException):
        return {}  # someone else's columns of these names
    if table is None or any(column.shape != (rows,) or column.dtype.kind not in "if" for column in table.values()):
        return {}  # unreadable pictures were left out, or the columns mean something else
    out = {}
    if "generation" in table and "row" in table:
        out["origin"] = np.stack([table["generation"], table["row"]], axis=1).astype(np.int64)
    if "log_weight" in table:
        out["log_weight"] = table["log_weight"].astype(np.float64)
    return out
