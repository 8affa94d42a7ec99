"""Images and models handed to a program that knows nothing of germline, and taken back: PNG folders, .npz, any files."""

from __future__ import annotations

import csv
import json
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, UnidentifiedImageError

from germline.core.digest import Json
from germline.core.errors import BadInput, Corrupt
from germline.core.pool import Pool, as_images

Format = Literal["npz", "imagefolder"]
Files = Mapping[str, UInt8[np.ndarray, " bytes"]]
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Made:
    """Images that a program left, in its order, and their classes if it told them."""

    images: UInt8[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, " n"] | None


def put_data(pool: Pool, classes: Sequence[str], folder: Path, format: Format) -> Path:
    """Write a training set, and return the path to hand over.

    "npz": one file with ``images`` (n, h, w, c) uint8, ``labels`` and ``classes``, or ``texts``. "imagefolder": PNGs in a folder a class,
    named so that their alphabetical order is that of the classes, and ``metadata.jsonl``. Both have ``weights``, the largest 1, if they
    differ.
    """
    weights = np.exp(pool.log_weight - pool.log_weight.max()) if pool.log_weight.any() else None
    prompts = not np.issubdtype(pool.condition.dtype, np.integer)
    if format == "npz":
        arrays = {"texts": pool.condition} if prompts else {"labels": pool.condition, "classes": np.array(classes, np.str_)}
        arrays |= {"images": pool.images[:], **({} if weights is None else {"weights": weights})}
        np.savez(folder / "data.npz", allow_pickle=False, **arrays)
        return folder / "data.npz"
    out = folder / "data"
    names = ["images"] if prompts else folder_names(classes)
    for name in names:
        (out / name).mkdir(parents=True, exist_ok=True)
    with (out / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for row, condition in enumerate(pool.condition):
            where = f"{names[0] if prompts else names[condition]}/{row:08d}.png"
            image = pool.images[[row]][0]
            Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out / where)
            about: dict[str, Json] = {"text": str(condition)} if prompts else {"label": int(condition), "class": classes[condition]}
            extra: dict[str, Json] = {} if weights is None else {"weight": float(weights[row])}
            lines.write(json.dumps({"file_name": where, **about, **extra}, ensure_ascii=False) + "\n")
    return out


def folder_names(classes: Sequence[str]) -> list[str]:
    """Return a folder's name a class: its number, and its name where that says more; in alphabetical order."""
    width = len(str(max(len(classes) - 1, 0)))
    plain = [re.sub(r"[^\w .+-]", "-", name).strip(" .")[:80] for name in classes]
    return [f"{i:0{width}d}" if plain[i] in ("", str(i)) else f"{i:0{width}d}-{plain[i]}" for i in range(len(classes))]


def put_rows(path: Path, rows: Iterable[int], condition: np.ndarray, classes: Sequence[str], seeds: Iterable[int]) -> None:
    """Write what is asked for as CSV: row, label and class, or text, and a seed of its own for each row."""
    prompts = not np.issubdtype(condition.dtype, np.integer)
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["row", "text", "seed"] if prompts else ["row", "label", "class", "seed"])
        for row, value, seed in zip(rows, condition, seeds, strict=True):
            lines.writerow([row, value, seed] if prompts else [row, value, classes[value], seed])


def put_files(files: Files, folder: Path) -> None:
    """Write a model's files.

    Raises:
        Corrupt: a name leads out of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Corrupt(f"The model holds a file named {name!r}, which would lie outside of its folder; take the run from a copy.")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(np.ascontiguousarray(content).tobytes())


def get_files(folder: Path, who: str) -> dict[str, np.ndarray]:
    """Return every file of a folder as bytes, by its path inside.

    Raises:
        BadInput: there is none, or a name is not text.
    """
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    if not found:
        raise BadInput(f"{who} left no file in {folder}; its program must write the model into the folder that {{out}} names.")
    for name in found:
        if not name.isprintable() or name == "__metadata__":  # the one name that safetensors keeps for itself
            raise BadInput(f"{who} left a file named {name!r}; give it another name, of printable letters.")
    return {name: np.fromfile(path, np.uint8) for name, path in found.items()}


def fresh(folder: Path) -> Path:
    """Return the folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def get_images(out: Path, shape: tuple[int, int, int], classes: Sequence[str], who: str) -> Made:
    """Return the images that a program left in ``out``: one .npz or .npy, or pictures, flat or in a folder a class.

    Pictures are in the order of the numbers in their names, else of their names.

    Raises:
        BadInput: nothing is there, or the images are unreadable, of another size, or of a class that is unknown.
    """
    arrays = sorted([*out.glob("*.npz"), *out.glob("*.npy")])
    pictures = [path for path in out.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file()]
    if len(arrays) + bool(pictures) != 1:
        there = "nothing" if not arrays and not pictures else "several"
        raise BadInput(f"{who} must leave one .npz or .npy file, or pictures, in {out}, but left {there} of them.")
    made = _of_array(arrays[0], who) if arrays else _of_pictures(out, sorted(pictures, key=_natural), shape, classes, who)
    if made.images.shape[1:] != shape:
        want, got = ("x".join(map(str, size)) for size in (shape, made.images.shape[1:]))
        raise BadInput(f"{who} must make images of {want} (height x width x channels), but made {got}.")
    if made.labels is not None and classes and not ((made.labels >= 0) & (made.labels < len(classes))).all():
        bad = int(np.flatnonzero((made.labels < 0) | (made.labels >= len(classes)))[0])
        raise BadInput(f"{who}: image {bad} has label {made.labels[bad]}, but labels count from 0 to {len(classes) - 1}.")
    return made


def _of_array(path: Path, who: str) -> Made:
    try:
        with (
            np.load(path, allow_pickle=False)
            if path.suffix == ".npz"
            else nullcontext({"images": np.load(path, allow_pickle=False)}) as found
        ):
            arrays = dict(found)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(
            f"{who} left {path}, which cannot be read ({error}); write it with np.savez(path, images=..., labels=...)."
        ) from error
    if "images" not in arrays:
        raise BadInput(f"{who} left {path} with the arrays {sorted(arrays)}; it must hold images, and labels if they are told.")
    try:
        images = as_images(arrays["images"])
    except BadInput as error:
        raise BadInput(f"{who}: {path.name}: {error}") from error
    labels = arrays.get("labels")
    if labels is not None and (labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer)):
        raise BadInput(f"{who}: labels must be {len(images)} integers, one an image, but are {labels.dtype} {labels.shape}.")
    return Made(images, None if labels is None else labels.astype(np.int64))


def _of_pictures(out: Path, paths: Sequence[Path], shape: tuple[int, int, int], classes: Sequence[str], who: str) -> Made:
    images, labels = [], []
    ways = ([str(i) for i in range(len(classes))], folder_names(classes), classes)  # the last is believed first
    place = {name: i for names in ways for i, name in enumerate(names)}
    for path in paths:
        try:
            with Image.open(path) as file:
                pixels = np.asarray(file.convert("L" if shape[2] == 1 else "RGB"))
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
            raise BadInput(f"{who} left {path}, which is no readable picture ({error}).") from error
        if pixels.shape[:2] != shape[:2]:
            raise BadInput(
                f"{who} must make images of {shape[1]} x {shape[0]} pixels, but {path.name} has {pixels.shape[1]} x {pixels.shape[0]}."
            )
        images.append(pixels.reshape(shape))
        labels.append(path.relative_to(out).parts[0] if path.parent != out else None)
    if all(label is None for label in labels) or not classes:
        return Made(np.stack(images), None)
    if strange := sorted({str(label) for label in labels if label not in place}):
        raise BadInput(f"{who} left pictures in {strange[0]!r}, which is no class; there are {', '.join(folder_names(classes)[:12])}.")
    return Made(np.stack(images), np.array([place[str(label)] for label in labels], np.int64))


def _natural(path: Path) -> tuple[str | int, ...]:
    """Return a key by which 2.png comes before 10.png."""
    return tuple(int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", path.as_posix())))
