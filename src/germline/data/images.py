"""Plain data, the user's own: a folder of pictures, a .npz, a .npy or Parquet; loaded as arrays, or split for the loop."""

import dataclasses
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from germline.core.errors import BadInput
from germline.core.pool import as_images
from germline.core.progress import Progress, silent
from germline.core.splits import EMBEDDED, NAMES, Splits, split
from germline.data import listing, npz
from germline.data.listing import Item, Listing
from germline.data.pictures import Unreadable, decode, fitted_all


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a path holds: images (n, h, w, 1 or 3) uint8, their classes or prompts, and what was left out.

    ``conditions`` are class numbers with names in ``classes``, or prompts, and then ``classes`` is empty. ``skipped`` lists
    (file, reason). ``names`` says where each image lies, if in a file or record of its own.
    """

    images: UInt8[np.ndarray, "n h w c"]
    conditions: np.ndarray
    classes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()


def load_images(path: Path | str, size: int | None = None, skip_bad: bool = False, progress: Progress = silent) -> Loaded:
    """Return the images that a path holds, with their conditions.

    A folder: with ``metadata.jsonl`` or ``metadata.csv`` (``file_name``, and ``label`` or a caption: ``text``, else ``prompt``, else
    ``caption``), or with a caption in a ``.txt`` file beside each picture, or one class a sub-folder, or flat. A ``.npz``: ``images``,
    and ``labels`` and ``classes`` if any. A ``.npy``: images alone, memory-mapped. A Parquet file or a folder of them: an image column,
    and ``label`` or a caption, called as above. Grey pictures among coloured ones become coloured.

    ``size`` brings the short edge to that length and keeps the central square. ``skip_bad`` leaves unreadable pictures out.

    Raises:
        BadInput: there is nothing there, a picture cannot be read, pictures differ in size, or labels are out of range.
    """
    path = Path(path)
    if size is not None and size < 1:
        raise BadInput(f"--size must be at least 1 pixel, but is {size}.")
    if not path.exists():
        raise BadInput(f"{path} does not exist; name a folder of pictures, or a .npz, .npy or .parquet file.")
    if path.suffix == ".npz":
        return _of_npz(path, size)
    if path.suffix == ".npy":
        return _of_npy(path, size)
    if path.is_dir():
        return _decoded(path, listing.of_folder(path), size, skip_bad, progress)
    if path.suffix == ".parquet":
        return _decoded(path, listing.of_parquet([path]), size, skip_bad, progress)
    raise BadInput(f"{path} is of no known kind; name a folder of pictures, or a .npz, .npy or .parquet file.")


def splits_of(
    path: Path | str,
    size: int | None = None,
    skip_bad: bool = False,
    real: int | None = None,
    sizes: Mapping[str, int] | None = None,
    progress: Progress = silent,
) -> Splits:
    """Return the splits of a user's own images, in the embedded set's proportions unless ``sizes`` says otherwise.

    As many rows of each class as the smallest class has; with ``real``, that many go to R and the rest is divided. With prompts the
    rows are split without regard to them, and there are no classes.

    Raises:
        BadInput: as ``load_images``; or a class is too small for four splits.
    """
    loaded = load_images(path, size, skip_bad, progress)
    if loaded.skipped:
        listed = "".join(f"\n  {file}: {reason}" for file, reason in loaded.skipped)
        warnings.warn(f"{path}: {len(loaded.skipped)} unreadable files were left out:{listed}", stacklevel=2)
    prompts = not loaded.classes
    labels = np.zeros(len(loaded.images), np.int64) if prompts else loaded.conditions
    classes = loaded.classes or ("all",)
    found = split(Path(path).name, loaded.images, labels, classes, sizes or _proportions(str(path), labels, classes, real))
    if not prompts:
        return found
    pools = {name: getattr(found, name) for name in NAMES}
    worded = {name: dataclasses.replace(pool, condition=loaded.conditions[pool.columns["dataset_row"]]) for name, pool in pools.items()}
    return dataclasses.replace(found, classes=(), **worded)


def _proportions(where: str, labels: np.ndarray, classes: tuple[str, ...], real: int | None) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(classes))
    least, rest = int(counts.min()), sum(EMBEDDED.values())
    first = -(-real // len(classes)) if real else max(1, least * EMBEDDED["real"] // rest)
    left, rest = least - first, rest - EMBEDDED["real"]
    sizes = {name: len(classes) * (left * EMBEDDED[name] // rest) for name in NAMES[1:]}
    if min(sizes.values()) < 1:
        raise BadInput(
            f"{where}: class {classes[int(counts.argmin())]!r} has {least} images, too few for four splits with {first} of them in R;"
            " add images, leave the class out, or give a smaller --real."
        )
    return {"real": real or first * len(classes), **sizes}


def _of_npz(path: Path, size: int | None) -> Loaded:
    arrays = npz.read(path)
    if "images" not in arrays:
        raise BadInput(f"{path} must hold the array images, and labels if there are any, but holds {sorted(arrays)}.")
    images = _checked(path, arrays["images"], size)
    names = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else ()
    labels = np.asarray(arrays.get("labels", np.zeros(len(images), np.int64)))
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(f"{path}: labels must be {len(images)} integers, one an image, but are {labels.dtype} {labels.shape}.")
    labels = labels.astype(np.int64)
    return Loaded(images, labels, _classes([f"{path} row {row}" for row in range(len(labels))], labels, names))


def _of_npy(path: Path, size: int | None) -> Loaded:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise BadInput(f"{path} is not a readable .npy file ({error}); save it again with np.save(path, images).") from error
    images = _checked(path, array, size)
    return Loaded(images, np.zeros(len(images), np.int64), ("all",))


def _checked(path: Path, array: np.ndarray, size: int | None) -> UInt8[np.ndarray, "n h w c"]:
    try:
        images = as_images(array)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    if not images.size:
        raise BadInput(f"{path} holds no images: its shape is {array.shape}.")
    return images if size is None else fitted_all(images, size)


def _decoded(path: Path, found: Listing, size: int | None, skip_bad: bool, progress: Progress) -> Loaded:
    kept: list[Item] = []
    images: list[np.ndarray] = []
    skipped: list[tuple[str, str]] = []
    with progress(f"read {path.name}", found.count) as advance:
        for item in found.items:
            try:
                images.append(_decode(item, size))
                kept.append(dataclasses.replace(item, read=bytes))
            except Unreadable as reason:
                if not skip_bad:
                    raise BadInput(f"{item.where}: {reason}. Repair or remove it, or leave such files out with --skip-bad.") from reason
                skipped.append((item.where, str(reason)))
            advance(1)
    if not images:
        bad = f"; all {len(skipped)} are unreadable, the first is {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise BadInput(f"{path} holds no readable pictures (such as .png or .jpg){bad}.")
    conditions, classes = conditions_of(path, kept, found.classes)
    return Loaded(_stacked(images, kept), conditions, classes, tuple(skipped), tuple(item.where for item in kept))


def _decode(item: Item, size: int | None) -> UInt8[np.ndarray, "h w c"]:
    try:
        return decode(item.read(), size)
    except OSError as error:
        raise Unreadable(f"it cannot be opened ({error.strerror or error})") from error


def _stacked(images: list[np.ndarray], items: list[Item]) -> UInt8[np.ndarray, "n h w c"]:
    first = images[0].shape[:2]
    for image, item in zip(images, items, strict=True):
        if image.shape[:2] != first:
            a, b = (f"{w} x {h}" for h, w in (first, image.shape[:2]))
            raise BadInput(
                f"Images must have one size, but {items[0].where} is {a} and {item.where} is {b} (width x height); give --size 64, say."
            )
    channels = max(image.shape[2] for image in images)
    out = np.empty((len(images), *first, channels), np.uint8)
    for into, image in zip(out, images, strict=True):
        into[:] = image  # one channel is repeated
    return out


def conditions_of(path: Path, items: list[Item], classes: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return class numbers and names, or prompts and no names; all class 0 when nothing is labelled."""
    labels = [item.label for item in items]
    if all(label is None for label in labels):
        texts = [item.text for item in items]
        if all(text is None for text in texts):
            return np.zeros(len(items), np.int64), ("all",)
        _all_there([item.where for item in items], texts, "text")
        if any(str(text).strip() for text in texts):
            _all_there([item.where for item in items], [str(text).strip() or None for text in texts], "text")
        return np.array(texts, dtype=np.str_), ()
    _all_there([item.where for item in items], labels, "label")
    where = [item.where for item in items]
    if all(isinstance(label, int) for label in labels):
        numbers = np.array(labels, np.int64)
        return numbers, _classes(where, numbers, classes or _named(items, numbers))
    if any(isinstance(label, int) for label in labels):
        raise BadInput(f"{path}: some labels are numbers and some are names; use one of the two.")
    names = classes or tuple(sorted({str(label) for label in labels}))
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[str(label)] for label in labels], np.int64), names


def _named(items: list[Item], numbers: np.ndarray) -> tuple[str, ...]:
    known = {int(number): item.class_name for number, item in zip(numbers, items, strict=True) if item.class_name is not None}
    return tuple(known.get(number, str(number)) for number in range(int(numbers.max()) + 1)) if known else ()


def _classes(where: list[str], labels: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the class names, numbers if there are none, after checking that each label has one."""
    limit = len(names) or 10_000
    bad = np.flatnonzero((labels < 0) | (labels >= limit))
    if len(bad):
        raise BadInput(f"{where[bad[0]]}: label {labels[bad[0]]} is out of range; labels count from 0 to {limit - 1}.")
    return names or tuple(str(number) for number in range(int(labels.max()) + 1))


def _all_there(where: list[str], values: Iterable[object], what: str) -> None:
    for place, value in zip(where, values, strict=True):
        if value is None:
            raise BadInput(f"{place} has no {what}, but other images have one; give it one or remove it.")
