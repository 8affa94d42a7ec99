"""Arrays of images as shards: .npy files, memory-mapped, a few thousand rows each; .npz files whole."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from germline.core.neighbours import slices
from germline.core.pool import as_images
from germline.data import npz
from germline.pools.files import File, key_of
from germline.pools.shard import Row, Shard, uid_of

CHUNK = 4096


def header(file: File) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and type of a .npy file's array, from its first bytes.

    Raises:
        ValueError, OSError, EOFError: it is damaged.
    """
    with file.open() as content:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(content)
        if file.size < content.tell() + math.prod(shape) * kind.itemsize:
            raise ValueError(f"it was cut off: {file.size:,} bytes are too few for {shape}")
    return shape, kind


def are_vectors(file: File) -> bool:
    """Return whether a .npy file holds rows of floats: embeddings."""
    try:
        shape, kind = header(file)
    except (ValueError, OSError, EOFError):
        return False
    return len(shape) == 2 and kind.kind == "f"


def npy_of(file: File) -> list[Shard]:
    """Return the shards of a .npy file of images, or of embeddings (two axes, floats) without metadata.

    Raises:
        BadInput, ValueError, OSError: it is damaged, or holds something else.
    """
    shape, kind = header(file)
    if len(shape) == 2 and kind.kind == "f":
        rows = partial(_nameless, file.name, shape[0])
        return [Shard(file.name, key_of([file]), rows, shape[0], file.size, partial(opened, file))]
    as_images(np.empty((0, *shape[1:]), kind))  # refuses what are no images
    count = shape[0]
    shards = []
    for part in slices(count, CHUNK):
        size = file.size * (part.stop - part.start) // count
        made = partial(_of_array, file.name, lambda: as_images(opened(file)), part)
        shards.append(Shard(f"{file.name} from row {part.start}", key_of([file], part.start), made, part.stop - part.start, size))
    return shards


def npz_of(file: File) -> list[Shard]:
    """Return the one shard of a .npz file: ``images``, and ``labels`` and ``classes`` if any.

    Raises:
        BadInput, OSError: it is damaged, or holds no images.
    """
    with local(file) as path:
        arrays = npz.read(path)
    count, classes = len(as_images(arrays["images"])), tuple(map(str, arrays.get("classes", ())))
    return [Shard(file.name, key_of([file]), partial(_of_npz, file), count, file.size, classes=classes)]


def opened(file: File) -> np.ndarray:
    """Return a .npy file's array: a memory map where it lies on this machine, else in memory."""
    if file.local:
        mapped: np.ndarray = np.load(file.local, mmap_mode="r", allow_pickle=False)
        return mapped
    with file.open() as content:
        array: np.ndarray = np.load(content, allow_pickle=False)
        return array


@contextmanager
def local(file: File) -> Iterator[Path]:
    """Yield a path on this machine with the file's content."""
    if file.local:
        yield Path(file.local)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(file.name).name
        with file.open() as source, path.open("wb") as copy:
            while piece := source.read(1 << 24):
                copy.write(piece)
        yield path


def _of_array(name: str, images: Callable[[], np.ndarray], part: slice) -> Iterator[Row]:
    for number, image in enumerate(images()[part], part.start):
        yield Row(f"{name}#{number}", uid_of(f"{name}#{number}"), pixels=np.asarray(image), size=image.nbytes)


def _of_npz(file: File) -> Iterator[Row]:
    with local(file) as path:
        arrays = npz.read(path)
    images, labels, names = as_images(arrays["images"]), arrays.get("labels"), arrays.get("classes")
    for number, image in enumerate(images):
        label = None if labels is None else int(labels[number])
        told = str(names[label]) if names is not None and label is not None and 0 <= label < len(names) else label
        identity = f"{file.name}#{number}"
        yield Row(identity, uid_of(identity), pixels=image, label=told, size=image.nbytes)


def _nameless(name: str, count: int) -> Iterator[Row]:
    for number in range(count):
        yield Row(f"{name}#{number}", uid_of(f"{name}#{number}"))
