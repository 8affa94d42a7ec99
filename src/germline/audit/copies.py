"""Near copies of known images: flipped, shifted, cropped, noisy, compressed, dimmed. Found by shape, judged against a null of real rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from germline.audit.most_alike import MostAlike
from germline.core.errors import BadInput
from germline.core.mapped import Collected
from germline.core.neighbours import first_copies, slices
from germline.core.progress import Progress, silent
from germline.data.pictures import fitted_all
from germline.pools.unfinished import Unfinished

SIDE, BLUR, CELLS = 32, 1.0, 7  # pixels a side that are compared; sigma of the blur in them; squares a side of the coarse descriptor
KEPT, AMONG = 40, 3  # candidates that are compared closely; the neighbour whose distance is the yardstick
CROP = 0.9  # the part of a side that a cropped copy shows
QUERIES, LEAST = 64, 100  # rows searched at once; real rows that a null of 1 % needs
DESCRIBED = 128  # images that are prepared at once


class Rows(Protocol):
    """Images that are read some rows at a time: an array, a file, a pool's images."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Matches:
    """The known row that each image resembles most, and ``strangeness``: their distance in units of that row's own neighbourhood.

    0 is a copy; fresh rows of the same kind lie around 1.
    """

    rows: Int64[np.ndarray, " n"]
    strangeness: Float64[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Null:
    """What real rows look like to each other: the strangeness of each beside all others, and the limit below which a copy is called.

    ``floor`` is the least that any real row reached: what lies below it is nearer than any two real rows are.
    """

    strangeness: Float64[np.ndarray, " n"]
    alarms: float
    limit: float
    floor: float


class Known:
    """Images that copies are looked for of, blurred, as they are and as a crop of 90 % would show them.

    The distance of two images is |a - b| of their blurred pixels, each set brought to mean 0 and length 1 (so brightness and contrast
    drop out), the least over flips and shifts of up to two pixels of the query, and over the two forms of the known row; a border of two
    pixels is left out, so that a shift invents no pixels. It is divided by the distance of the known row to its third nearest other row:
    smooth skies and plain trousers, which resemble each other, thus need to be more alike to be called copies.

    A coarse descriptor (averages of 7 x 7 squares) proposes 40 rows, at three shifts along each axis. With a ``folder`` the pixels are in
    a file there, so that memory holds the descriptors only, and a killed search goes on where it was.

    Source: ours. A distance to a training image measured in units of a neighbourhood is also how arXiv 2301.13188 finds copies on
    CIFAR-10; the neighbourhood there is the made row's.

    Raises:
        BadInput: there are fewer than 100 different images.
    """

    def __init__(self, images: Rows, progress: Progress = silent, folder: Path | None = None) -> None:
        self._folder = folder
        first = first_copies(images)
        self.different = np.flatnonzero(first == np.arange(len(first)))
        if len(self.different) < LEAST:
            raise BadInput(f"Copies are told by a null of at least {LEAST} different real images, but there are {len(self.different)}.")
        count = len(self.different)
        self._rows = np.tile(np.arange(count), 2)
        self._edge = edge(_prepared(images[self.different[:1]]).shape[1:3])
        coarse, self._fine = self._described(images)
        self._alike = MostAlike(coarse)
        own = _Chosen(images, self.different)
        rows, distances = self._nearest(own, AMONG + 1, True, progress, "null")
        self._own_rows, self._own = rows, np.maximum(distances, 1e-6)

    def _described(self, images: Rows) -> tuple[Float32[np.ndarray, "n c"], Float32[np.ndarray, "n f"]]:
        """Return the coarse and the fine vectors of both forms of every different image; the fine ones in a file if there is a folder."""
        coarse: list[np.ndarray] = []
        with Collected(self._folder / "fine" if self._folder else None) as fine:
            for form in (lambda x: x, cropped):
                for part in slices(len(self.different), DESCRIBED):
                    inner = _inner(_blurred(form(_prepared(images[self.different[part]]))), self._edge)
                    coarse.append(_coarse(inner))
                    fine.add(_unit(inner))
            return np.concatenate(coarse), fine.array()

    def null(self, alarms: float = 0.01) -> Null:
        """Return the null: each real row beside all others, with the yardstick that it would have if the row were not there."""
        if not 0 < alarms < 1:
            raise BadInput(f"The rate of false alarms must be between 0 and 1, but is {alarms}.")
        nearest = self._own_rows[:, 0]
        others = self._own_rows[nearest]
        own = np.arange(len(nearest))[:, None]
        place = np.where((others[:, :AMONG] == own).any(axis=1), AMONG, AMONG - 1)  # the row itself is no neighbour of its neighbour
        strangeness = self._own[:, 0] / self._own[nearest, place]
        rank = max(1, int(alarms * (len(strangeness) + 1)))
        ordered = np.sort(strangeness)
        return Null(strangeness, alarms, float(ordered[rank - 1]), float(ordered[0]))

    def matches(self, images: Rows, progress: Progress = silent) -> Matches:
        """Return the known row that each image resembles most; rows count the images that ``Known`` was given."""
        rows, distances = self._nearest(images, 1, False, progress, "made")
        return Matches(self.different[rows[:, 0]], distances[:, 0] / self._own[rows[:, 0], AMONG - 1])

    def _nearest(
        self, images: Rows, k: int, own: bool, progress: Progress, what: str
    ) -> tuple[Int64[np.ndarray, "m {k}"], Float64[np.ndarray, "m {k}"]]:
        """Return the k rows nearest to each image and their distances; with ``own`` these are the known ones, each without itself."""
        unfinished = Unfinished(self._folder, ["copies", what, len(images), k]) if self._folder else None
        state = dict((unfinished.load() if unfinished else None) or _nothing(len(images), k))
        rows, distances, done = state["rows"], state["distances"], int(state["done"])
        with progress(f"look for copies, {what} images", len(images) - done) as advance, threadpool_limits(1):
            for part in (part for part in slices(len(images), QUERIES) if part.start >= done):
                blurred = _blurred(_prepared(images[part]))
                both = np.stack([blurred, blurred[:, :, ::-1]], axis=1)
                candidates = self._candidates(both, np.arange(part.start, part.stop) if own else None)
                for i, (views, proposed) in enumerate(zip(both, candidates, strict=True), part.start):
                    rows[i], distances[i] = self._closest(views, proposed, k)
                state["done"] = np.array(part.stop)
                if unfinished:
                    unfinished.save(lambda: state)
                advance(part.stop - part.start)
        if unfinished:
            unfinished.finish(state)
        return rows, distances

    def _candidates(self, both: Float32[np.ndarray, "m 2 h w c"], own: Int64[np.ndarray, " m"] | None) -> Int64[np.ndarray, "m 2 k"]:
        """Return the rows whose coarse vectors are most alike, for both views."""
        windows = [_coarse(window) for window in _windows(both, self._edge, (-self._edge, 0, self._edge))]
        queries = np.stack(windows, axis=2).reshape(2 * len(both), len(windows), -1)
        without = None if own is None else np.repeat(np.stack([own, own + len(self._rows) // 2], axis=1), 2, axis=0)
        return self._alike(queries, min(KEPT, len(self._rows) - 2), without).reshape(len(both), 2, -1)

    def _closest(self, views: Float32[np.ndarray, "2 h w c"], proposed: Int64[np.ndarray, "2 k"], k: int) -> tuple[np.ndarray, np.ndarray]:
        steps = range(-self._edge, self._edge + 1)
        windows = _unit(np.stack(list(_windows(views, self._edge, steps)), axis=1))
        alike = np.concatenate([(windows[view] @ self._fine[proposed[view]].T).max(axis=0) for view in (0, 1)])
        rows = self._rows[proposed.ravel()]
        order = np.lexsort((rows, -alike))
        _, first = np.unique(rows[order], return_index=True)  # a row counts once, in the form and view that fits best
        best = order[np.sort(first)][:k]
        return rows[best], np.sqrt(np.maximum(2 - 2 * alike[best].astype(np.float64), 0))


def exact(made: Rows, real: Rows) -> Int64[np.ndarray, " m"]:
    """Return for each made row the first real row with the same bytes, -1 where there is none."""
    first: np.ndarray = first_copies(_Joined(real, made))[len(real) :]
    return np.where(first < len(real), first, -1)


def repeated(images: Rows) -> Bool[np.ndarray, " n"]:
    """Return which rows equal an earlier one, byte for byte."""
    again: np.ndarray = first_copies(images) < np.arange(len(images))
    return again


def cropped(images: UInt8[np.ndarray, "n h w c"], part: float = CROP) -> UInt8[np.ndarray, "n h w c"]:
    """Return the middle ``part`` of each side, brought back to the old size (bicubic)."""
    height, width = images.shape[1:3]
    box = (width * (1 - part) / 2, height * (1 - part) / 2, width * (1 + part) / 2, height * (1 + part) / 2)
    out = np.empty_like(images)
    for into, image in zip(out, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        into[:] = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box)).reshape(into.shape)
    return out


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Some rows of images, read when asked for."""

    images: Rows
    rows: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice | np.ndarray, /) -> UInt8[np.ndarray, "n h w c"]:
        return self.images[self.rows[part]]


@dataclass(frozen=True, eq=False)
class _Joined:
    """Rows of two sets of images, one after the other, read a slice at a time."""

    first: Rows
    second: Rows

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, part: slice, /) -> UInt8[np.ndarray, "n h w c"]:
        start, stop, _ = part.indices(len(self))
        cut = len(self.first)
        parts = [self.first[min(start, cut) : min(stop, cut)], self.second[max(start - cut, 0) : max(stop - cut, 0)]]
        return np.concatenate([part for part in parts if len(part)])


def _nothing(rows: int, k: int) -> dict[str, np.ndarray]:
    return {"rows": np.empty((rows, k), np.int64), "distances": np.empty((rows, k)), "done": np.array(0)}


def edge(shape: tuple[int, int]) -> int:
    """Return how far copies may be shifted: 2 pixels, of images under 16 pixels 1."""
    return 2 if min(shape) >= 16 else 1


def _prepared(images: UInt8[np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "n h w c"]:
    """Return images of at most 32 pixels a side: larger ones as their central square, shrunk."""
    return fitted_all(images, SIDE) if max(images.shape[1:3]) > SIDE else images


def _blurred(images: UInt8[np.ndarray, "n h w c"]) -> Float32[np.ndarray, "n h w c"]:
    """Noise, compression and rescaling live in the fine detail; it tells little of whether two images are one."""
    out: np.ndarray = gaussian_filter(images.astype(np.float32), (0, BLUR, BLUR, 0), mode="nearest")
    return out


def _inner(x: Float32[np.ndarray, "*lead h w c"], border: int, down: int = 0, right: int = 0) -> Float32[np.ndarray, "*lead h2 w2 c"]:
    height, width = x.shape[-3] - 2 * border, x.shape[-2] - 2 * border
    return x[..., border + down : border + down + height, border + right : border + right + width, :]


def _windows(x: Float32[np.ndarray, "*lead h w c"], border: int, steps: range | tuple[int, ...]) -> Iterator[np.ndarray]:
    return (_inner(x, border, down, right) for down, right in product(steps, steps))


def _unit(x: Float32[np.ndarray, "*lead h w c"]) -> Float32[np.ndarray, "*lead d"]:
    """Return each image as a vector of mean 0 and length 1; a plain one stays 0."""
    flat = x.reshape(*x.shape[:-3], -1)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.einsum("...d,...d->...", flat, flat))
    out: np.ndarray = flat / np.maximum(length, 1e-3)[..., None]
    return out


def _coarse(x: Float32[np.ndarray, "*lead h w c"]) -> Float32[np.ndarray, "*lead d"]:
    """Return the unit vector of the sums over about 7 x 7 squares."""
    for axis in (-3, -2):
        size = x.shape[axis]
        starts = np.unique(np.linspace(0, size, min(CELLS, size) + 1).round().astype(int)[:-1])
        x = np.add.reduceat(x, starts, axis)
    return _unit(x)
