"""Prompts from the files that people have: Parquet, JSON lines, JSON, CSV, TSV and plain text, told apart by their suffix.

Where the prompts of known sets stand (read in their cards and on their pages; the files are the user's):

- Lexica: a reply of its search interface, ``{"images": [{"prompt": ...}]}``, or Parquet with a column ``Prompt``;
- DiffusionDB: ``metadata.parquet`` with ``prompt``, or a folder of ``part-000001.json``, ``{"NAME.png": {"p": ...}}``;
- Pick-a-Pic: Parquet with ``caption``, beside columns of images, which are not read;
- HPS: JSON lists of texts, one file a style; HPDv2's ``train.json`` and ``test.json``, lists of objects with ``prompt``;
- DrawBench: CSV with ``Prompts`` and ``Category``, or the same in lower case;
- GenEval: ``evaluation_metadata.jsonl`` with ``prompt``, or ``generation_prompts.txt``, one a line;
- PartiPrompts: TSV with ``Prompt``; it comes with germline under the name ``parti``.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.digest import Json
from germline.core.errors import BadInput

COLUMNS = ("prompt", "prompts", "caption", "text", "p")  # looked for in this order, upper case or lower
OWN = ("source", "row")  # where a prompt came from: written once, kept by every later stage
UNREADABLE = "_unreadable"  # the column that says what is wrong with a broken row
PARTI = Path(__file__).parent / "embedded" / "PartiPrompts.tsv"
EMBEDDED = {"parti": PARTI}
SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv", ".txt")


Row = Mapping[str, Json] | str  # an object, or what is wrong with a broken one
Broken = Literal["refuse", "mark"]


def read_prompts(sources: Sequence[Path | str], column: str | None = None, broken: Broken = "refuse") -> pa.Table:
    """Return a table of the prompts of all sources: ``prompt``, ``source`` and ``row``, and each file's other texts and numbers.

    A source is a file, a folder of files, or "parti", the 1,632 PartiPrompts. A prompt that is missing becomes "", so that cleaning counts
    it. ``column`` names the prompts' column where it has another name. Rows of a text file that cannot be read are refused, or marked:
    their prompt is "", and a column ``_unreadable`` says why.

    Raises:
        BadInput: a source is not there, of no known kind, damaged, or has no column of prompts.
    """
    if not sources:
        raise BadInput(f"Name a file of prompts ({', '.join(SUFFIXES)}), a folder of them, or parti.")
    tables = [_read(path, column, broken) for source in sources for path in _files(source)]
    table: pa.Table = pa.concat_tables(tables, promote_options="permissive")
    return table


def _files(source: Path | str) -> list[Path]:
    path = EMBEDDED.get(str(source), Path(source))
    if not path.exists():
        raise BadInput(f"{source} does not exist; name a file of prompts, a folder of them, or one of {', '.join(EMBEDDED)}.")
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not _ours(p.relative_to(path)))
    if not found:
        raise BadInput(f"{path} holds no file of prompts; they end in {', '.join(SUFFIXES)}.")
    return found


def _ours(path: Path) -> bool:
    """Return whether a file holds replies, rejected rows or a report of an earlier stage."""
    return any(part.startswith(".") for part in path.parts) or Path(path.stem).suffix in (".rejected", ".report")


def _read(path: Path, column: str | None, broken: Broken) -> pa.Table:
    if path.suffix.lower() == ".parquet":
        return _with_source(_parquet(path, column), path)
    told = list(_rows(path))
    if not told:
        raise BadInput(f"{path} holds no prompts.")
    if all(isinstance(row, str) for row in told):
        raise BadInput(f"{path} holds no row that can be read, starting with {told[0]}. Is its ending the right one?")
    rows: list[Mapping[str, Json]] = [{} if isinstance(row, str) else row for row in told]
    names = list(dict.fromkeys(key for row in rows for key in row))
    name = _column(path, names, column)
    wrong = {number: problem for number, row in enumerate(told) if (problem := _problem(number, row, name))}
    if wrong and broken == "refuse":
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise BadInput(f"{path}, {wrong[min(wrong)]}{more}. Mend the file, or run germline prompts clean on it: it sets such rows aside.")
    found = ["" if number in wrong else _text(row.get(name)) for number, row in enumerate(rows)]
    others = {key: [row.get(key) for row in rows] for key in names if key != name}
    if wrong:
        others[UNREADABLE] = [wrong.get(number) for number in range(len(rows))]
    kept = {key: values for key, values in others.items() if all(isinstance(v, str | int | float | None) for v in values)}
    try:
        return _with_source(pa.table({"prompt": pa.array(found, pa.string()), **kept}), path)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # a column that changes its type from row to row
        texts = {key: [None if v is None else str(v) for v in values] for key, values in kept.items()}
        return _with_source(pa.table({"prompt": pa.array(found, pa.string()), **texts}), path)


def _parquet(path: Path, column: str | None) -> pa.Table:
    try:
        schema = pq.read_schema(path)
        name = _column(path, schema.names, column)
        texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        if name not in texts:
            raise BadInput(f"{path}: column {name!r} holds {schema.field(name).type}, not text; name the prompts' column with --column.")
        plain = [f.name for f in schema if f.name in texts or pa.types.is_primitive(f.type)]
        table = pq.read_table(path, columns=plain)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"{path} is no readable Parquet file ({error}). Fetch it again.") from error
    prompts = table[name].cast(pa.string()).fill_null("")
    return table.drop_columns([name]).add_column(0, "prompt", prompts)


def _with_source(table: pa.Table, path: Path) -> pa.Table:
    if set(OWN) <= set(table.column_names):  # an earlier stage's output
        return table
    table = table.drop_columns([name for name in OWN if name in table.column_names])
    table = table.append_column("source", pa.array([path.name] * len(table), pa.string()))
    return table.append_column("row", pa.array(range(len(table)), pa.int64()))


def _column(path: Path, names: Sequence[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted in names:
            return wanted
        raise BadInput(f"{path} has no column {wanted!r}; it has {', '.join(names)}.")
    lower = {name.lower(): name for name in reversed(names)}
    for known in COLUMNS:
        if known in lower:
            return lower[known]
    raise BadInput(f"{path} has no column of prompts ({', '.join(COLUMNS)}), but {', '.join(names)}; name it with --column.")


def _problem(number: int, row: Row, name: str) -> str:
    """Return what is wrong with a row, "" if nothing is."""
    if isinstance(row, str):
        return row
    value = row.get(name)
    return "" if value is None or isinstance(value, str) else f"row {number}: a prompt must be text, but is {json.dumps(value)[:80]}"


def _text(value: Json) -> str:
    return str(value or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # JSON may hold half a surrogate pair


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a text file as objects; texts alone become ``{"prompt": text}``."""
    kind = path.suffix.lower()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if kind == ".jsonl":
                yield from (_line(i, line) for i, line in enumerate(file) if line.strip())
            elif kind == ".json":
                yield from (_object(i, value) for i, value in enumerate(_listed(path, _json(path, file.read()))))
            elif kind == ".csv":
                yield from (_fields(i, row) for i, row in enumerate(csv.DictReader(file)))
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
        return f"line {number + 1}: no JSON ({error})"


def _fields(number: int, row: Mapping[str | None, str | list[str]]) -> Row:
    if None in row:  # a comma inside a prompt without quotes would cut the prompt off
        return f"row {number}: {len(row[None])} more fields than the header has; put quotes around prompts that hold the delimiter"
    return {str(key): str(value) if value is not None else None for key, value in row.items()}


def _object(number: int, value: Json) -> Row:
    if isinstance(value, str):
        return {"prompt": value}
    if isinstance(value, dict):
        return value
    return f"row {number}: expected a text or an object, but got {json.dumps(value)[:80]}"


def _listed(path: Path, value: Json) -> list[Json]:
    """Return the rows of a JSON file: a list, Lexica's ``images``, or DiffusionDB's objects by picture."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and isinstance(images := value.get("images"), list):
        return images
    if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
        return [{"image_name": name, **row} for name, row in value.items() if isinstance(row, dict)]
    raise BadInput(f"{path} holds neither a list of prompts, nor a Lexica reply, nor a part of DiffusionDB.")
