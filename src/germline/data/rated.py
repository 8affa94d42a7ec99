"""A user's own captioned images, and what people said of them: the pool of a first round."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from germline.core import digest
from germline.core.errors import BadInput
from germline.core.pool import GIVEN, Pool
from germline.core.progress import Progress, silent
from germline.core.scores import pair_of
from germline.core.tables import number, table
from germline.data.given import Given, given
from germline.data.listing import ENDINGS
from germline.data.pictures import Unreadable, decode

COLUMN = "ratings"
KEYS = ("file_name", "sha256", "image")  # in the order in which a row's picture is looked for
SCORE = "score"


def rated(path: Path, ratings: Path | None, size: int, channels: int = 3, skip_bad: bool = False, progress: Progress = silent) -> Pool:
    """Return captioned images with the origin -3 and, with ``ratings``, the column of that name: the mean over a picture's raters.

    Images are brought to ``size`` pixels a side. A row's number is its place in the pool, whether or not the others were rated: those
    without a rating are left out, and a warning counts them.

    ``ratings`` is a table (CSV, Parquet, JSON or JSONL) with ``score`` and one of ``file_name`` (the path in the folder), ``sha256`` (of
    the file) or ``image`` (of the pixels, as ``germline vote export`` writes), a row a rating: a picture may have many.

    Raises:
        BadInput: there are no such images, they have no captions, or the table is damaged, names a file that is not there, holds no
            number, or rates none of the pictures; files and rows are named.
    """
    found = given(path, size, skip_bad, progress)
    loaded = found.loaded
    if loaded.classes:
        raise BadInput(
            f"--pool {path} has no captions, and its images are trained on with them: give each picture a .txt file beside it, or the"
            " folder a metadata.jsonl with file_name and text or prompt."
        )
    if loaded.images.shape[3] not in (1, channels):
        raise BadInput(f"--pool {path} has images of {loaded.images.shape[3]} channels, but the model makes {channels}.")
    images = loaded.images if loaded.images.shape[3] == channels else np.repeat(loaded.images, channels, axis=3)
    pool = Pool.of(np.ascontiguousarray(images), loaded.conditions, GIVEN)
    if ratings is None:
        return pool
    means = _means(found, pool, ratings)
    told = np.flatnonzero(np.isfinite(means))
    if len(told) < len(means):
        first = found.names[int(np.flatnonzero(~np.isfinite(means))[0])]
        warnings.warn(
            f"--pool {path}: {len(means) - len(told)} of {len(means)} images have no rating in {ratings} and are left out, first {first}.",
            stacklevel=2,
        )
    return pool.take(told).with_column(COLUMN, means[told])


@dataclass
class _Places:
    """Where a picture of the pool stands, by what a table may call it; each way is made when it is first asked for."""

    found: Given
    pool: Pool
    known: dict[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)

    def of(self, key: str, name: str) -> Sequence[int]:
        if key not in self.known:
            self.known[key] = {"file_name": self._by_file, "sha256": self._by_hash, "image": self._by_pixels}[key]()
        return self.known[key].get(name if key == "file_name" else name.lower(), ())

    def _by_file(self) -> Mapping[str, Sequence[int]]:
        start = f"{self.found.path}/"
        return _grouped((name.removeprefix(start), row) for row, name in enumerate(self.found.names))

    def _by_hash(self) -> Mapping[str, Sequence[int]]:
        return _grouped((digest.of_file(Path(name)), row) for row, name in enumerate(self.found.names) if _is_picture(name))

    def _by_pixels(self) -> Mapping[str, Sequence[int]]:
        """Pixels as they lie in the file, and as they are trained on: a table may be of either."""
        here = {(pair_of(image, "")[0], row) for row, image in enumerate(self.pool.images[:])}
        for row, name in enumerate(self.found.names):
            if _is_picture(name):
                try:
                    own = decode(Path(name).read_bytes())
                except (OSError, Unreadable):
                    continue
                here |= {(pair_of(own, "")[0], row), (pair_of(np.repeat(own, 3, axis=2) if own.shape[2] == 1 else own, "")[0], row)}
        return _grouped(here)


def _means(found: Given, pool: Pool, ratings: Path) -> Float64[np.ndarray, " n"]:
    """Return each picture's mean rating, NaN where it has none."""
    if not ratings.is_file():
        raise BadInput(f"--ratings: there is no file {ratings}; give a .csv, .parquet, .json or .jsonl with score and file_name.")
    places, total, raters, strange = _Places(found, pool), np.zeros(len(pool)), np.zeros(len(pool)), 0
    for entry, line in enumerate(table(ratings)):
        where = f"--ratings: {ratings} entry {entry}"
        key = next((key for key in KEYS if line.get(key) not in (None, "")), None)
        if key is None or line.get(SCORE) in (None, ""):
            lacking = SCORE if key else f"{', '.join(KEYS[:-1])} or {KEYS[-1]}"
            raise BadInput(f"{where} lacks {lacking}; it has {', '.join(line) or 'nothing'}.")
        rows = places.of(key, str(line[key]))
        if not rows and key == "file_name":
            raise BadInput(f"{where} rates {line[key]}, which is no picture of {found.path}; its first is {found.names[0]}.")
        strange += not rows
        for row in rows:
            total[row] += number(line[SCORE], where)
            raters[row] += 1
    if not raters.any():
        raise BadInput(f"--ratings: {ratings} rates no picture of {found.path} ({strange} entries are of others); is it of this pool?")
    if strange:
        warnings.warn(f"--ratings: {strange} entries of {ratings} are of pictures that {found.path} does not hold.", stacklevel=2)
    return np.where(raters > 0, total / np.maximum(raters, 1), np.nan)


def _grouped(pairs: Iterable[tuple[str, int]]) -> Mapping[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for name, row in pairs:
        found.setdefault(name, []).append(row)
    return found


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in ENDINGS and Path(name).is_file()
