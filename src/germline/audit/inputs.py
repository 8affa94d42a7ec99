"""What an audit looks at: real and made images of any number, decoded into files, with classes and splits."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from germline.core import digest
from germline.core.errors import BadInput
from germline.core.pool import Pool, Source
from germline.core.progress import Progress, silent
from germline.core.scores import users_folder
from germline.core.splits import Splits
from germline.data.given import UNLABELLED, Given, class_names, cut_off
from germline.data.images import Loaded, conditions_of
from germline.data.listing import PARTS, Item, Label
from germline.pools.decoded import Decoded, coloured, decoded
from germline.pools.opened import Opened

SHARE, CLASS_ROWS = 0.25, 12  # of the real rows that are held out, and that judges are fitted on; rows that a class needs for that
JUDGES, VALUES = 2_000, 64_000_000  # rows that judges are fitted on: as many as have so many pixel values, and at least so many
LISTED = 12  # names in a warning
FORGOTTEN = 7 * 86_400.0  # seconds after which what a killed audit left goes


@dataclass(frozen=True, eq=False)
class Inputs:
    """Real images as splits of one source, made ones, and where each lies."""

    data: Splits
    made: Pool
    real_names: Sequence[str]
    names: Sequence[str]


@contextmanager
def scratch_folder(cache: Path | None, pools: Sequence[Opened], size: int | None, skip_bad: bool) -> Iterator[Path]:
    """Yield the folder of what an audit decodes and computes. It goes when the audit is done; a killed one finds it again for a week.

    Raises:
        BadInput: another process audits the same images.
    """
    of: list[digest.Json] = [[pool.name, pool.digest] for pool in pools]
    folder = (cache or users_folder()) / "audits" / digest.of_json([of, size, skip_bad])[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_forgotten(folder.parent)
    with _locked(folder.with_suffix(".lock")) as mine:
        if not mine:
            raise BadInput("These images are being audited by another process; wait for it, or end it.")
        try:
            yield folder
        except BadInput:
            _remove(folder)  # what has to be mended makes another pool
            raise
        _remove(folder)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Yield whether this process holds the lock; a file that was removed meanwhile is no lock."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino
        except BlockingIOError:
            mine = False
        yield mine


def _remove(folder: Path) -> None:
    """Remove an audit's folder, then its lock, which this process holds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".lock").unlink(missing_ok=True)


def _remove_forgotten(audits: Path) -> None:
    """Remove what audits left that were killed long ago and never run again."""
    for lock in audits.glob("*.lock"):
        folder = lock.with_suffix("")
        with suppress(FileNotFoundError):
            if time.time() - max(path.stat().st_mtime for path in (lock, folder) if path.exists()) > FORGOTTEN:
                with _locked(lock) as mine:
                    if mine:
                        _remove(folder)


def inputs(
    real: Opened,
    made: Opened,
    held_out: Opened | None,
    folder: Path,
    size: int | None = None,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> Inputs:
    """Return the images, of which only what is looked at is in memory.

    Where no held-out images are given, a quarter of every class of the real ones is. Judges are fitted on another quarter, of at most
    64 million pixel values or 2,000 rows. Classes that are too small to fit a classifier on are not used, with a warning; nor are captions.

    Raises:
        BadInput: an image cannot be read, images differ in size, or a class of made images is none of the real ones'.
        GermlineError: the disk is full.
    """
    ours = decoded([real, *([held_out] if held_out else [])], folder / "real", size, skip_bad, progress)
    theirs = decoded([made], folder / "made", size, skip_bad, progress)
    channels = max(ours.images.shape[3], theirs.images.shape[3])
    ours, theirs = (
        found if found.images.shape[3] == channels else coloured(found, folder / name) for name, found in (("real", ours), ("made", theirs))
    )
    if ours.images.shape[1:] != theirs.images.shape[1:]:
        (height, width), (other, across) = ours.images.shape[1:3], theirs.images.shape[1:3]
        raise BadInput(
            f"The images of {made.name} are {across} x {other}, but the real ones are {width} x {height} (width x height); bring all to"
            f" one size: --size {min(height, width)}."
        )
    for pool, found in ((real, ours), (made, theirs)):
        _warn_of(pool, found)
    ends = (0, *ours.ends)
    parts = {
        name: _told(pool, ours.names[start:end], ours.labels[start:end])
        for name, pool, start, end in zip(("real", "held_out"), (real, held_out), ends, ends[1:], strict=False)
        if pool is not None
    }
    data = _splits(_with_large_classes(parts), ours)
    condition = _told(made, theirs.names, theirs.labels).condition(data.classes)
    return Inputs(data, Pool.of(Source(theirs.images), condition, 0), ours.names, theirs.names)


def _warn_of(pool: Opened, found: Decoded) -> None:
    """Warn of what was left out: unreadable images where that was asked for, and files that are none."""
    left = [*found.skipped, *((pool.path_of(name), reason) for name, reason in pool.skipped)]
    if left:
        more = f"\n  and {len(left) - LISTED} more" if len(left) > LISTED else ""
        listed = "".join(f"\n  {name}: {reason}" for name, reason in left[:LISTED])
        warnings.warn(f"{pool.name}: {len(left)} files or rows were left out:{listed}{more}", stacklevel=3)


def _told(pool: Opened, names: Sequence[str], labels: Sequence[Label]) -> Given:
    """Return what is told of a pool's rows; their images lie elsewhere. Labels that only some of them have tell nothing."""
    tops = {label for label in labels if isinstance(label, str)}
    if tops and tops <= PARTS:
        one = "train" if "train" in tops else sorted(tops)[-1]
        raise BadInput(f"{pool.name} is divided into {', '.join(sorted(tops))}; name one of them, such as {pool.name.rstrip('/')}/{one}.")
    bare = sum(label is None for label in labels)
    if 0 < bare < len(labels):
        warnings.warn(f"{pool.name}: {bare:,} of {len(labels):,} images have no label, so none is used.", stacklevel=4)
        labels = [None] * len(labels)
    path = Path(pool.name)
    items = [Item(name, bytes, label) for name, label in zip(names, labels, strict=True)]
    conditions, classes = conditions_of(path, items, pool.classes if tops <= set(pool.classes) else ())
    return Given(path, Loaded(np.empty((0, 1, 1, 1), np.uint8), conditions, classes, (), tuple(names)))


def _with_large_classes(parts: dict[str, Given]) -> dict[str, Given]:
    names = parts["real"].loaded.classes
    if names != UNLABELLED:
        counts = np.bincount(parts["real"].loaded.conditions, minlength=len(names))
        small = [name for name, count in zip(names, counts, strict=True) if count < CLASS_ROWS]
        if small:
            warnings.warn(
                f"{len(small)} of {len(names)} classes have under {CLASS_ROWS} real images (the first is {small[0]!r}): classes are left"
                " out of this audit. Add images, or leave those classes out.",
                stacklevel=4,
            )
            return {name: _unlabelled(part) for name, part in parts.items()}
    return parts


def _unlabelled(part: Given) -> Given:
    conditions = np.zeros(len(part.loaded.conditions), np.int64)
    return Given(part.path, dataclasses.replace(part.loaded, conditions=conditions, classes=UNLABELLED))


def _splits(parts: dict[str, Given], found: Decoded) -> Splits:
    classes = class_names(list(parts.values()))
    labels = {name: part.condition(classes) for name, part in parts.items()}
    shares = {"judge": SHARE, **({} if "held_out" in parts else {"held_out": SHARE})}
    taken = cut_off(str(parts["real"].path), labels["real"], classes, shares)
    first = len(labels["real"])
    held_out = taken["held_out"] if "held_out" in taken else np.arange(first, len(found.names))
    judge = taken["judge"]
    most = max(JUDGES, VALUES // prod(found.images.shape[1:]))
    if len(judge) > most:
        judge = judge[np.linspace(0, len(judge) - 1, most).astype(np.int64)]
    real = np.setdiff1d(np.arange(first), np.concatenate(list(taken.values())))
    whole = Pool.of(Source(found.images), np.concatenate(list(labels.values())))
    reserve = np.setdiff1d(taken["judge"], judge)
    return Splits("real", classes, whole.take(real), whole.take(reserve), whole.take(judge), whole.take(held_out))
