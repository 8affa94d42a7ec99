"""Images that someone else made, brought to the classes, channels and splits of one chain."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool, Source
from germline.core.progress import Progress, silent
from germline.core.seeds import rng
from germline.core.splits import NAMES, Splits
from germline.data.images import Loaded, load_images

UNLABELLED = ("all",)
NO_CLASS = -1  # the condition of a sample whose class nobody told


@dataclass(frozen=True, eq=False)
class Given:
    """What a path held, and the path."""

    path: Path
    loaded: Loaded

    @property
    def names(self) -> tuple[str, ...]:
        """Where each image lies: its file or record, else the path and its row."""
        return self.loaded.names or tuple(f"{self.path} row {row}" for row in range(len(self.loaded.images)))

    def images(self, shape: tuple[int, int, int]) -> UInt8[np.ndarray, "n h w c"]:
        """Return the images; grey ones among coloured ones become coloured.

        Raises:
            BadInput: they have another height or width.
        """
        own, (height, width, channels) = self.loaded.images, shape
        if own.shape[1:3] != (height, width):
            raise BadInput(
                f"The images of {self.path} are {own.shape[2]} x {own.shape[1]}, but the real ones are {width} x {height}"
                f" (width x height); bring all to one size: --size {min(height, width)}."
            )
        return own if own.shape[3] == channels else np.repeat(own, channels, axis=3)

    def condition(self, classes: tuple[str, ...]) -> np.ndarray:
        """Return each row's class among ``classes``, found by name; -1 for all rows of an unlabelled set; or the prompts.

        Raises:
            BadInput: a row's class is not among them, or one side has prompts and the other classes.
        """
        own, names = self.loaded.conditions, self.loaded.classes
        if not names and not classes:
            return own
        if names == UNLABELLED and classes != UNLABELLED:
            return np.array([""] * len(own)) if not classes else np.full(len(own), NO_CLASS, np.int64)
        if classes == UNLABELLED:
            return np.zeros(len(own), np.int64)
        if not names or not classes:
            kinds = ("classes", "prompts") if classes else ("prompts", "classes")
            raise BadInput(f"The real images have {kinds[0]}, but those of {self.path} have {kinds[1]}; give all of them the same.")
        place = {name: number for number, name in enumerate(classes)}
        used = {int(number): names[number] for number in np.unique(own)}
        if not set(used.values()) <= set(place) and names == _numbers(names) and len(names) <= len(classes):
            return own.astype(np.int64)  # numbers without names
        if strange := [name for name in used.values() if name not in place]:
            raise BadInput(
                f"{self.path} has the class {strange[0]!r}, which the real images do not have; theirs are {', '.join(classes[:12])}."
                " Rename its folder, or add real images of that class."
            )
        found: np.ndarray = np.array([place.get(name, NO_CLASS) for name in names], np.int64)[own]
        return found

    def pool(self, data: Splits, generation: int) -> Pool:
        """Return the rows as samples of a generation."""
        return Pool.of(np.ascontiguousarray(self.images(data.image_shape)), self.condition(data.classes), generation)


def given(path: Path, size: int | None = None, skip_bad: bool = False, progress: Progress = silent) -> Given:
    """Return what a path holds; files that were left out are listed in a warning."""
    loaded = load_images(path, size, skip_bad, progress)
    if loaded.skipped:
        listed = "".join(f"\n  {file}: {reason}" for file, reason in loaded.skipped)
        warnings.warn(f"{path}: {len(loaded.skipped)} unreadable files were left out:{listed}", stacklevel=2)
    return Given(path, loaded)


def split_given(name: str, parts: Mapping[str, Given], shares: Mapping[str, float]) -> Splits:
    """Return splits of which some are given whole, in their own order; a judge or held_out that is not given is cut from "real".

    ``shares`` says which part of each class of R is cut off for a split. The four share one source, in the order of ``NAMES``.

    Raises:
        BadInput: sizes or classes differ, or R has too few rows of a class to be cut.
    """
    classes = class_names(list(parts.values()))
    first = parts["real"].loaded.images.shape
    shape = (first[1], first[2], max(part.loaded.images.shape[3] for part in parts.values()))
    images = {part: given.images(shape) for part, given in parts.items()}
    labels = {part: given.condition(classes) for part, given in parts.items()}
    rows = {part: np.arange(len(images[part])) for part in parts}
    cut = {part: share for part, share in shares.items() if part not in parts}
    taken = cut_off(str(parts["real"].path), labels["real"], classes, cut)
    kept = np.setdiff1d(rows["real"], np.concatenate([*taken.values(), np.empty(0, np.int64)]))
    chosen = {part: ("real", taken[part]) if part in taken else (part, rows.get(part, np.empty(0, np.int64))) for part in NAMES}
    chosen["real"] = ("real", kept)
    there = [(of, picked) for of, picked in chosen.values() if len(picked)]
    source = Source(np.concatenate([images[of][picked] for of, picked in there]))
    whole = Pool.of(source, np.concatenate([labels[of][picked] for of, picked in there]))
    ends = np.cumsum([len(chosen[part][1]) for part in NAMES])
    pools = {part: whole.take(np.arange(end - len(chosen[part][1]), end)) for part, end in zip(NAMES, ends, strict=True)}
    assert whole.sources.keys() == {REAL}
    return Splits(name, classes, **pools)


def class_names(parts: Sequence[Given]) -> tuple[str, ...]:
    """Return the class names of the part that has most; a class it has no row of is named as the others name it. None with prompts."""
    if not all(part.loaded.classes for part in parts):
        return ()
    most = max(parts, key=lambda part: len(part.loaded.classes))
    names, used = list(most.loaded.classes), set(most.loaded.conditions.tolist())
    for part in parts:
        if len(part.loaded.classes) == len(names):
            for number in set(part.loaded.conditions.tolist()) - used:
                names[number] = part.loaded.classes[number]
    return tuple(names) if len(set(names)) == len(names) else most.loaded.classes


def cut_off(where: str, labels: np.ndarray, classes: tuple[str, ...], shares: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Return the rows to cut off for each split: a share of every class, drawn by a fixed seed."""
    if not all(0 < share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise BadInput(f"The shares cut from R must lie between 0 and 1 and leave some of it, but are {dict(shares)}.")
    taken: dict[str, list[np.ndarray]] = {part: [] for part in shares}
    groups = np.unique(labels) if classes else [None]
    for place, label in enumerate(groups):
        members = np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)
        members = rng(0, REAL, "adopt", place).permutation(members)
        total = len(members)
        for part, share in shares.items():
            count = int(share * total)
            if count < 1:
                who = "R" if label is None else f"class {classes[int(label)]!r}"
                raise BadInput(
                    f"{where}: {who} has {total} images, too few to cut {part} from it; add images, give --{part.replace('_', '-')},"
                    f" or raise --{part.replace('_', '-')}-share."
                )
            taken[part].append(members[:count])
            members = members[count:]
    return {part: np.sort(np.concatenate(rows)) for part, rows in taken.items()}


def _numbers(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(number) for number in range(len(names)))
