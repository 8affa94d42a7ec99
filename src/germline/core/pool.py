"""The one data type: a batch of samples, one row each, that knows where every row came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from germline.core import digest
from germline.core.errors import BadInput

Rows: TypeAlias = Int[np.ndarray, " rows"] | Sequence[int]
REAL = -1
UNKNOWN = -2  # rows of an adopted training set that match no image of the chain
GIVEN = -3  # rows of a user's own pool, which no generation made and no split holds; what they are is the user's to know


@dataclass(frozen=True, eq=False)
class Source:
    """A block of images that rows point into: the real data, or everything one generation made.

    ``images`` is (n, height, width, channels) uint8, in memory or a memory map. A source with a ``path`` (a ``.npy`` file)
    pickles as that path, so that a pool sent to another process carries no images.
    """

    images: UInt8[np.ndarray, "n h w c"]
    path: Path | None = None

    @classmethod
    def open(cls, path: Path) -> Source:
        """Return the images of a ``.npy`` file as a memory map."""
        return cls(np.load(path, mmap_mode="r", allow_pickle=False), path)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the images."""
        return digest.of_array(self.images)

    def __len__(self) -> int:
        return len(self.images)

    def __getstate__(self) -> tuple[object, Path | None]:
        return (None if self.path else self.images), self.path

    def __setstate__(self, state: tuple[UInt8[np.ndarray, "n h w c"] | None, Path | None]) -> None:
        images, path = state
        if images is None and path is not None:
            images = np.load(path, mmap_mode="r", allow_pickle=False)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "path", path)


class Images:
    """A pool's images, gathered from their sources only when asked: ``pool.images[rows]`` is (rows, h, w, c) uint8."""

    def __init__(self, sources: Mapping[int, Source], origin: Int[np.ndarray, "n 2"]) -> None:
        self._sources, self._origin = sources, origin

    def __len__(self) -> int:
        return len(self._origin)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(rows, height, width, channels)."""
        height, width, channels = next(iter(self._sources.values())).images.shape[1:]
        return len(self), height, width, channels

    def __getitem__(self, rows: slice | Rows) -> UInt8[np.ndarray, "rows h w c"]:
        origin = self._origin[rows if isinstance(rows, slice) else np.asarray(rows, np.int64)]
        out = np.empty((len(origin), *self.shape[1:]), np.uint8)
        for generation in np.unique(origin[:, 0]):
            here = origin[:, 0] == generation
            out[here] = self._sources[int(generation)].images[origin[here, 1]]
        return out

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def blocks(self, size: int) -> Iterator[UInt8[np.ndarray, "rows h w c"]]:
        """Yield the images in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


@dataclass(frozen=True, eq=False)
class Pool:
    """A batch, one row a sample. Never changed in place: every method returns a new pool that shares the images.

    ``origin`` is (generation, row in that generation's source); real rows have generation -1 and count the data set's rows; -2 is unknown,
    -3 the row of a pool that the user gave.
    ``condition`` is a class (int64) or a prompt (text). ``log_weight`` is un-normalised; -inf leaves a row out.
    ``columns`` holds named numbers, one a row: a score lies in the column with its scorer's name.

    Raises:
        BadInput: lengths differ, or a row points outside its source.
    """

    sources: Mapping[int, Source]
    origin: Int[np.ndarray, "n 2"]
    condition: np.ndarray
    log_weight: Float[np.ndarray, " n"]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, column in {"condition": self.condition, "log_weight": self.log_weight, **self.columns}.items():
            if column.shape != (len(self),):
                raise BadInput(f"Pool has {len(self)} rows, but {name} has shape {column.shape}; it needs one value a row.")
        for generation in np.unique(self.origin[:, 0]):
            rows = self.origin[self.origin[:, 0] == generation, 1]
            source = self.sources.get(int(generation))
            if source is None or rows.min() < 0 or rows.max() >= len(source):
                size = "no images" if source is None else f"{len(source)} images"
                raise BadInput(f"Pool names row {rows.max()} of generation {generation}, which has {size}.")

    @classmethod
    def of(
        cls,
        images: UInt8[np.ndarray, "n h w c"] | Source,
        condition: np.ndarray | None = None,
        generation: int = REAL,
        columns: Mapping[str, np.ndarray] | None = None,
    ) -> Pool:
        """Return a pool of every image of an array or source, in order; without conditions, all are class 0."""
        source = images if isinstance(images, Source) else Source(as_images(images))
        n = len(source)
        origin = np.stack([np.full(n, generation, np.int64), np.arange(n, dtype=np.int64)], axis=1)
        condition = np.zeros(n, np.int64) if condition is None else np.asarray(condition)
        return cls({generation: source}, origin, condition, np.zeros(n), dict(columns or {}))

    @classmethod
    def concat(cls, pools: Sequence[Pool]) -> Pool:
        """Return the rows of several pools, one pool after the other. Columns that not all of them have are dropped.

        Raises:
            BadInput: two pools use one generation number for different images.
        """
        sources: dict[int, Source] = {}
        for generation, source in ((g, s) for pool in pools for g, s in pool.sources.items()):
            if sources.setdefault(generation, source) is not source and sources[generation].digest != source.digest:
                raise BadInput(f"Two pools hold different images under generation {generation}; give one of them another number.")
        names = set.intersection(*(set(pool.columns) for pool in pools))
        return cls(
            sources,
            np.concatenate([pool.origin for pool in pools]),
            np.concatenate([pool.condition for pool in pools]),
            np.concatenate([pool.log_weight for pool in pools]),
            {name: np.concatenate([pool.columns[name] for pool in pools]) for name in sorted(names)},
        )

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def images(self) -> Images:
        """The images, gathered when asked for."""
        return Images(self.sources, self.origin)

    @property
    def generation(self) -> Int[np.ndarray, " n"]:
        """The generation that made each row; -1 for real rows."""
        return self.origin[:, 0]

    @property
    def real(self) -> Bool[np.ndarray, " n"]:
        """Which rows are real."""
        real: Bool[np.ndarray, " n"] = self.origin[:, 0] == REAL
        return real

    def take(self, rows: Rows | Bool[np.ndarray, " n"]) -> Pool:
        """Return the pool of these rows, in this order."""
        picked = np.asarray(rows)
        picked = picked if picked.dtype == bool else picked.astype(np.int64)
        columns = {name: column[picked] for name, column in self.columns.items()}
        return replace(
            self, origin=self.origin[picked], condition=self.condition[picked], log_weight=self.log_weight[picked], columns=columns
        )

    def with_column(self, name: str, values: np.ndarray) -> Pool:
        """Return the pool with one column more."""
        return replace(self, columns={**self.columns, name: values})

    def weighed(self, log_weights: Float[np.ndarray, " n"]) -> Pool:
        """Return the pool with these log-weights added to its own."""
        return replace(self, log_weight=self.log_weight + log_weights)


def as_images(array: np.ndarray) -> UInt8[np.ndarray, "n h w c"]:
    """Return an array as (n, h, w, c) uint8; a missing channel axis is added.

    Raises:
        BadInput: the array is not uint8 or has another shape.
    """
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.dtype != np.uint8 or array.shape[3] not in (1, 3):
        raise BadInput(
            f"Images must be uint8 with shape (n, height, width) or (n, height, width, 1 or 3), but are {array.dtype} {array.shape}."
            " Scale them to 0..255 and put channels last."
        )
    return array
