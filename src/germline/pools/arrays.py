"""Arrays of images as shards: .npy files, memory-mapped, a few thousand rows each; .npz files, read in order."""

from __future__ import annotations

import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np

from germline.core.errors import BadInput
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
        shape, _, kind = npz.header(content)
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
        made = partial(_of_array, file, part)
        shards.append(Shard(f"{file.name} from row {part.start}", key_of([file], part.start), made, part.stop - part.start, size))
    return shards


def npz_of(file: File) -> list[Shard]:
    """Return the one shard of a .npz file: ``images``, and ``labels`` and ``classes`` if any. Images are read in pieces, in order.

    Raises:
        BadInput, OSError, ValueError, KeyError: it is damaged, or holds no images.
    """
    with file.open() as content, zipfile.ZipFile(content) as archive:
        if "images.npy" not in archive.namelist():
            raise BadInput("it has no array named images; save it with np.savez(path, images=..., labels=...)")
        with archive.open("images.npy") as member:
            shape, _, kind = npz.header(member)
    as_images(np.empty((0, *shape[1:]), kind))  # refuses what are no images
    _, names = _told(file)
    classes = () if names is None else tuple(map(str, names))
    return [Shard(file.name, key_of([file]), partial(_of_npz, file), shape[0], file.size, classes=classes)]


def opened(file: File) -> np.ndarray:
    """Return a .npy file's array as a memory map; one that lies elsewhere is fetched into a file that has no name and goes by itself."""
    if file.local:
        mapped: np.ndarray = np.load(file.local, mmap_mode="r", allow_pickle=False)
        return mapped
    with tempfile.TemporaryFile() as copy:
        with file.open() as source:
            shutil.copyfileobj(source, copy, npz.PIECE)
        copy.seek(0)
        shape, columns_first, kind = npz.header(copy)
        order: Literal["F", "C"] = "F" if columns_first else "C"
        return np.memmap(copy, kind, "r", copy.tell(), shape, order) if math.prod(shape) else np.empty(shape, kind)


def _of_array(file: File, part: slice) -> Iterator[Row]:
    for number, image in enumerate(as_images(_some(file, part)), part.start):
        yield Row(f"{file.name}#{number}", uid_of(f"{file.name}#{number}"), pixels=np.asarray(image), size=image.nbytes)


def _some(file: File, part: slice) -> np.ndarray:
    """Return some rows of a .npy file; of one that lies elsewhere no more is fetched than they are."""
    if file.local:
        return opened(file)[part]
    with file.open() as content:
        shape, columns_first, kind = npz.header(content)
        if columns_first:
            return opened(file)[part]
        row = math.prod(shape[1:]) * kind.itemsize
        content.seek(part.start * row, 1)
        return np.frombuffer(content.read((part.stop - part.start) * row), kind).reshape(-1, *shape[1:])


def _told(file: File) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the labels and the names of the classes of a .npz file, where it has them."""
    with file.open() as content, np.load(content, allow_pickle=False) as arrays:
        return arrays.get("labels"), arrays.get("classes")


def _of_npz(file: File) -> Iterator[Row]:
    number = 0
    try:
        labels, names = _told(file)
        with file.open() as content:
            for image in (image for piece in npz.rows(content, "images") for image in as_images(piece)):
                label = None if labels is None else int(labels[number])
                told = str(names[label]) if names is not None and label is not None and 0 <= label < len(names) else label
                identity = f"{file.name}#{number}"
                yield Row(identity, uid_of(identity), pixels=image, label=told, size=image.nbytes)
                number += 1
    except npz.DAMAGED as error:
        file.not_the_line(error)
        identity = f"{file.name}#{number}"
        yield Row(identity, uid_of(identity), skipped=f"the file cannot be read from here on, and rows before may be damaged ({error})")


def _nameless(name: str, count: int) -> Iterator[Row]:
    for number in range(count):
        yield Row(f"{name}#{number}", uid_of(f"{name}#{number}"))
