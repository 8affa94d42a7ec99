"""Where the pictures of a plain data set lie and what each is labelled, for folders and Parquet files."""

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.errors import BadInput

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".tga", ".ico", ".jp2", ".avif"))
PARTS = frozenset(("train", "test", "val", "valid", "validation", "dev"))
CAPTION = ".txt"
TEXTS = ("text", "prompt", "caption")  # what a caption is called; the first that is not blank is taken
Label = int | str | None


@dataclass(frozen=True)
class Item:
    """One picture: where it lies, how to read it, its class (a number or a name), and its class's name or its prompt."""

    where: str
    read: Callable[[], bytes]
    label: Label = None
    class_name: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Listing:
    """How many pictures, an iterator over them, and the class names if the data set has a list of them."""

    count: int
    items: Iterator[Item]
    classes: tuple[str, ...] = ()


def of_folder(folder: Path) -> Listing:
    """Return a folder's pictures; other files are ignored.

    Their labels or prompts are those of its metadata file; else the captions in ``.txt`` files beside them (cat.png, cat.txt); else there
    is one class a sub-folder, or all are of one kind.

    Raises:
        BadInput: pictures lie both beside and inside sub-folders, the sub-folders are train and test, or only some have a caption.
    """
    for name in ("metadata.jsonl", "metadata.csv"):
        if (folder / name).is_file():
            return _of_metadata(folder, folder / name)
    parquet = sorted(folder.glob("*.parquet"))
    files = sorted(_walk(folder))
    if parquet and not files:
        return of_parquet(parquet)
    captions = any(path.with_suffix(CAPTION).is_file() for path in files)
    tops = {path.relative_to(folder).parts[0] for path in files if path.parent != folder}
    flat = [path for path in files if path.parent == folder]
    if flat and tops and not captions:
        raise BadInput(
            f"{_shown(folder)} holds pictures itself ({flat[0].name!r}) and in sub-folders ({sorted(tops)[0]!r});"
            " put each into the sub-folder of its class, or name the sub-folder."
        )
    if tops and tops <= PARTS and not flat:
        one = sorted(tops)[-1] if "train" not in tops else "train"
        raise BadInput(f"{_shown(folder)} is divided into {', '.join(sorted(tops))}; name one of them, such as {folder / one}.")
    if captions:
        items = [Item(_shown(path), path.read_bytes, text=_caption(path, files)) for path in files]
        return Listing(len(items), iter(items))
    labels = {path: path.relative_to(folder).parts[0] if tops else None for path in files}
    return Listing(len(files), (Item(_shown(path), path.read_bytes, labels[path]) for path in files), tuple(sorted(tops)))


def _caption(picture: Path, every: list[Path]) -> str:
    """Return the text beside a picture, its line breaks as spaces."""
    path = picture.with_suffix(CAPTION)
    if not path.is_file():
        told = sum(other.with_suffix(CAPTION).is_file() for other in every)
        raise BadInput(
            f"{_shown(picture)} has no caption, but {told} of {len(every)} pictures have one; write {_shown(path)}, or remove the picture."
        )
    try:
        text = " ".join(path.read_text(encoding="utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise BadInput(f"{_shown(path)} is not text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8.") from error
    if not text:
        raise BadInput(f"{_shown(path)} is empty; write the caption of {picture.name} into it, or remove both.")
    return text


def of_parquet(paths: list[Path]) -> Listing:
    """Return the pictures of Parquet files with an image column: bytes, or the struct of bytes and path of the datasets library.

    Raises:
        BadInput: a file is damaged or has no image column.
    """
    try:
        files = [pq.ParquetFile(path) for path in paths]
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{', '.join(map(_shown, paths))} is not a readable Parquet file ({str(error).splitlines()[0]}).") from error
    schema = files[0].schema_arrow
    image = next((field.name for field in schema if holds_images(field.type)), None)
    if image is None:
        raise BadInput(f"{_shown(paths[0])} needs an image column (bytes, or a struct of bytes and path), but has {schema.names}.")
    wanted = [image, *(name for name in ("label", *TEXTS) if name in schema.names)]
    count = sum(file.metadata.num_rows for file in files)
    return Listing(count, _parquet_items(paths, files, wanted), class_names(schema))


def _parquet_items(paths: list[Path], files: list[pq.ParquetFile], wanted: list[str]) -> Iterator[Item]:
    for path, file in zip(paths, files, strict=True):
        row = 0
        for batch in file.iter_batches(256, columns=wanted):
            for record in batch.to_pylist():
                yield Item(f"{_shown(path)} row {row}", _reader(record[wanted[0]], path.parent), record.get("label"), None, said(record))
                row += 1


def _reader(value: bytes | Mapping[str, object] | None, folder: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        data = value.get("bytes") if isinstance(value, Mapping) else value
        if isinstance(data, bytes):
            return data
        name = value.get("path") if isinstance(value, Mapping) else None
        return (folder / name).read_bytes() if isinstance(name, str) else b""

    return read


def holds_images(kind: pa.DataType) -> bool:
    """Return whether a column of this type may hold pictures: bytes, or a struct of bytes and path."""
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def class_names(schema: pa.Schema) -> tuple[str, ...]:
    """Return the names that the datasets library keeps with a ClassLabel column."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(about["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _of_metadata(folder: Path, file: Path) -> Listing:
    try:
        found = list(records(file))
    except UnicodeDecodeError as error:
        raise BadInput(f"{_shown(file)} is not text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8.") from error
    items = (_item(folder, file, number, record) for number, record in found)
    return Listing(len(found), items)


def records(file: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the line number and entry of each line of a metadata.jsonl or metadata.csv.

    Raises:
        BadInput: a line is not JSON.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix == ".csv":
            yield from ((number, record) for number, record in enumerate(csv.DictReader(lines), 2))
            return
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise BadInput(
                        f"{_shown(file)} line {number} is not JSON ({error}); each line is one object with file_name."
                    ) from error


def said(record: Mapping[str, object]) -> str | None:
    """Return the caption of a metadata file's entry or of a Parquet file's row; None where there is none."""
    found = [text for name in TEXTS if isinstance(text := record.get(name), str)]
    return next(filter(str.strip, found), found[0] if found else None)


def _item(folder: Path, file: Path, number: int, record: Mapping[str, object]) -> Item:
    name = record.get("file_name") if isinstance(record, Mapping) else None
    if not isinstance(name, str) or not name:
        raise BadInput(f"{_shown(file)} line {number} needs file_name, the picture's path inside the folder, but is {record!r}.")
    path = folder / name
    label, of = record.get("label"), record.get("class")
    if isinstance(label, str) and label.strip().lstrip("-").isdigit() and file.suffix == ".csv":
        label = int(label)
    if not isinstance(label, int | str | None) or isinstance(label, bool):
        raise BadInput(f"{_shown(file)} line {number}: label must be a class number or name, but is {label!r}.")
    return Item(_shown(path), path.read_bytes, label, of if isinstance(of, str) else None, said(record))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield picture files below a folder, links followed but no folder entered twice; hidden files are left out."""
    seen: set[str] = set()
    for where, below, names in os.walk(folder, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith("."))
        real = os.path.realpath(where)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        pictures = (Path(where) / name for name in names if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS)
        yield from (path for path in pictures if path.is_file() or (path.is_symlink() and not path.exists()))  # no pipes


def _shown(path: Path) -> str:
    """Return a path for a message, on one line even if a name holds a line break."""
    text = str(path)
    return text if text.isprintable() else repr(text)
