"""What an audit would read and take, from a few of its images, decoded and compared here and now."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from germline.audit.copies import CELLS, LEAST, SIDE, Known
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.data.pictures import Unreadable
from germline.pools.blocks import Fit, image_of
from germline.pools.cost import cost, told
from germline.pools.decoded import pictures_only
from germline.pools.opened import Opened
from germline.pools.work import Work
from germline.standard import installed

TRIED, FORMS = 160, 18 * 2  # images that are compared on trial; shifts and flips of one image, times forms of a known one


@dataclass(frozen=True)
class Would:
    """Rows (``counted``: exactly), height, width and channels, seconds on one thread, and bytes on disk while it runs."""

    real: int
    made: int
    counted: bool
    shape: tuple[int, int, int]
    seconds: float
    disk: int

    def text(self) -> str:
        """Return this in words."""
        height, width, channels = self.shape
        about = "" if self.counted else "about "
        return (
            f"{about}{self.real:,} real and {about}{self.made:,} made images of {width} x {height} x {channels}: about"
            f" {told(self.seconds)}, {self.disk / 1e9:,.2f} GB of disk while it runs. Nothing was computed."
        )

    def to_json(self) -> dict[str, Json]:
        """Return the numbers."""
        shape: list[Json] = [*self.shape]
        about: dict[str, Json] = {"real": self.real, "made": self.made, "counted": self.counted, "shape": shape}
        return about | {"seconds": self.seconds, "bytes_on_disk": self.disk}


def would(real: Sequence[Opened], made: Opened, size: int | None) -> Would:
    """Return what an audit of real (and held-out) and made images would take; it writes nothing that stays.

    Raises:
        BadInput: no image could be read, or a pool holds embeddings.
    """
    for pool in (*real, made):
        pictures_only(pool)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), extractor=installed(), fit=Fit(size, 3))
        found = [cost(work, pool) for pool in (*real, made)]
    rows, queries = sum(one.rows for one in found[:-1]), sum(one.rows for one in found)
    images = _some(real[0], size)
    height, width, channels = images.shape[1:]
    side = min(SIDE, height), min(SIDE, width)
    disk = queries * height * width * channels + 2 * rows * side[0] * side[1] * channels * 4
    seconds = sum(one.seconds for one in found) + _comparing(images, rows, queries)
    return Would(rows, found[-1].rows, all(one.counted for one in found), (height, width, channels), seconds, disk)


def _some(pool: Opened, size: int | None) -> UInt8[np.ndarray, "n h w c"]:
    """Return the first images of a pool that have the size of the first."""
    out: list[np.ndarray] = []
    for row in islice((row for shard in pool.shards for row in shard.rows()), 4 * TRIED):
        try:
            image = image_of(row, Fit(size, 3))
        except Unreadable:
            continue
        if not out or image.shape == out[0].shape:
            out.append(image)
        if len(out) == TRIED:
            break
    if not out:
        raise BadInput(f"None of the first images of {pool.name} can be read; say which can be left out: --skip-bad.")
    grey = all((image == image[..., :1]).all() for image in out)
    return np.stack(out)[..., :1] if grey else np.stack(out)


def _comparing(images: UInt8[np.ndarray, "n h w c"], rows: int, queries: int) -> float:
    """Return the seconds of looking for copies: so much an image, timed on a few, and so much a pair."""
    each = 0.0
    if len(np.unique(images.reshape(len(images), -1), axis=0)) >= LEAST:
        start = time.monotonic()
        Known(images)
        each = (time.monotonic() - start) / len(images)
    x = np.random.default_rng(0).normal(size=(2048, CELLS**2 * images.shape[3])).astype(np.float32)
    start = time.monotonic()
    for _ in range(4):
        (x @ x.T).reshape(-1, 8, len(x)).max(axis=1)
    pair = (time.monotonic() - start) / (4 * len(x) ** 2)
    return queries * each + pair * FORMS * rows * queries
