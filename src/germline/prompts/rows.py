"""Rows of text files: JSON lines, JSON, CSV, TSV and plain text, as objects; a broken row keeps its text beside what is wrong with it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from germline.core.digest import Json
from germline.core.errors import BadInput

SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv", ".txt")  # Parquet, which has no rows of text, among them


@dataclass(frozen=True)
class Broken:
    """A row that cannot be read: what is wrong, and its text as it came."""

    problem: str
    text: str


Row = Mapping[str, Json] | Broken


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of a text file as objects; texts alone become ``{"prompt": text}``.

    Raises:
        BadInput: the file is of no known kind, no UTF-8, or damaged as a whole.
    """
    kind = path.suffix.lower()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if kind == ".jsonl":
                yield from (_line(i, line) for i, line in enumerate(file) if line.strip())
            elif kind == ".json":
                yield from (_object(i, value) for i, value in enumerate(_listed(path, _json(path, file.read()))))
            elif kind == ".csv":
                yield from _comma_separated(path, file)
            elif kind == ".tsv":  # a prompt may begin with a quote, so quotes mean nothing here
                yield from (_fields(i, row) for i, row in enumerate(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)))
            elif kind == ".txt":
                yield from ({"prompt": line.rstrip("\r\n")} for line in file if line.strip())
            else:
                raise BadInput(f"{path} is of no known kind; prompts come in files that end in {', '.join(SUFFIXES)}.")
    except UnicodeDecodeError as error:
        how = "iconv -f latin1 -t utf-8 converts it, iconv -c -f utf-8 -t utf-8 drops the bytes that are wrong"
        raise BadInput(f"{path} is not UTF-8 text ({error.reason}); {how}.") from error
    except csv.Error as error:
        raise BadInput(f"{path} is no table that can be read ({error}): look for a quote that is never closed.") from error


def _comma_separated(path: Path, file: TextIO) -> Iterator[Row]:
    taken: list[str] = []  # the lines of the row that comes next

    def lines() -> Iterator[str]:
        for line in file:
            taken.append(line)
            yield line

    last = ""
    for number, row in enumerate(csv.DictReader(lines())):
        last = "".join(taken)
        taken.clear()
        yield _fields(number, row)
    if _open_quote(last):  # the reader says nothing: it takes all that follows for one field
        raise BadInput(
            f"{path}: the quote in {last.splitlines()[0][:80]!r} is never closed, so all after it is one row. Close or double it."
        )


def _open_quote(text: str) -> bool:
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _json(path: Path, text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{path} is no JSON ({error}); if it holds one object a line, name it .jsonl.") from error
    return value


def _line(number: int, line: str) -> Row:
    try:
        return _object(number, json.loads(line))
    except (ValueError, RecursionError) as error:
        return Broken(f"line {number + 1}: no JSON ({error})", line.rstrip("\r\n"))


def _fields(number: int, row: Mapping[str | None, str | list[str]]) -> Row:
    if None in row:  # a comma inside a prompt without quotes would cut the prompt off
        told = f"row {number}: {len(row[None])} more fields than the header has; put quotes around prompts that hold the delimiter"
        texts = [text for value in row.values() for text in (value if isinstance(value, list) else [value])]
        return Broken(told, ",".join(text or "" for text in texts))
    return {str(key): str(value) if value is not None else None for key, value in row.items()}


def _object(number: int, value: Json) -> Row:
    if isinstance(value, str):
        return {"prompt": value}
    if isinstance(value, dict):
        return value
    return Broken(f"row {number}: expected a text or an object, but got {json.dumps(value)[:80]}", json.dumps(value))


def _listed(path: Path, value: Json) -> list[Json]:
    """Return the rows of a JSON file: a list, Lexica's ``images``, or DiffusionDB's objects by picture."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and isinstance(images := value.get("images"), list):
        return images
    if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
        return [{"image_name": name, **row} for name, row in value.items() if isinstance(row, dict)]
    raise BadInput(f"{path} holds neither a list of prompts, nor a Lexica reply, nor a part of DiffusionDB.")
