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

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.prompts.rows import SUFFIXES, Broken, Row, rows_of

COLUMNS = ("prompt", "prompts", "caption", "text", "p")  # looked for in this order, upper case or lower
OWN = ("source", "row")  # where a prompt came from: written once, kept by every later stage
UNREADABLE = "_unreadable"  # the column that says what is wrong with a broken row
PARTI = Path(__file__).parent / "embedded" / "PartiPrompts.tsv"
EMBEDDED = {"parti": PARTI}


def read_prompts(
    sources: Sequence[Path | str],
    column: str | None = None,
    broken: Literal["refuse", "mark"] = "refuse",
    but: Path | None = None,
) -> pa.Table:
    """Return a table of the prompts of all sources: ``prompt``, ``source`` and ``row``, and each file's other texts and numbers.

    A source is a file, a folder of files, or "parti", the 1,632 PartiPrompts. A prompt that is missing becomes "", so that cleaning counts
    it. ``column`` names the prompts' column where it has another name. Rows of a text file that cannot be read are refused, or marked:
    their prompt is their text as it came, and a column ``_unreadable`` says why. A file ``but`` is left out of a folder. Where a file has
    a column ``prompt``, ``source`` or ``row`` of another meaning, that is kept as ``given_prompt`` and so on.

    Raises:
        BadInput: a source is not there, of no known kind, damaged, or has no column of prompts.
    """
    if not sources:
        raise BadInput(f"Name a file of prompts ({', '.join(SUFFIXES)}), a folder of them, or parti.")
    tables = [_read(path, column, broken) for source in sources for path in _files(source, but)]
    return _one(tables)


def _one(tables: Sequence[pa.Table]) -> pa.Table:
    """Return one table below the other; a column that is text in one file and a number in another becomes text in all."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        fields = [field for table in tables for field in table.schema]
        texts = {field.name for field in fields if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)}
        schemas = [pa.schema([field.with_type(pa.string()) if field.name in texts else field for field in t.schema]) for t in tables]
        as_text = [table.cast(schema) for table, schema in zip(tables, schemas, strict=True)]
        return pa.concat_tables(as_text, promote_options="permissive")


def _files(source: Path | str, but: Path | None) -> list[Path]:
    path = EMBEDDED.get(str(source), Path(source))
    if not path.exists():
        raise BadInput(f"{source} does not exist; name a file of prompts, a folder of them, or one of {', '.join(EMBEDDED)}.")
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not _ours(p.relative_to(path)))
    found = [p for p in found if but is None or p.resolve() != but.resolve()]
    if not found:
        raise BadInput(f"{path} holds no file of prompts; they end in {', '.join(SUFFIXES)}.")
    return found


def _ours(path: Path) -> bool:
    """Return whether a file holds replies, rejected rows or a report of an earlier stage."""
    return any(part.startswith(".") for part in path.parts) or Path(path.stem).suffix in (".rejected", ".report")


def _read(path: Path, column: str | None, broken: Literal["refuse", "mark"]) -> pa.Table:
    if path.suffix.lower() == ".parquet":
        table = _parquet(path, column)
        if not len(table):
            raise BadInput(f"{path} holds no prompts.")
        return _with_source(table, path)
    told = list(rows_of(path))
    if not told:
        raise BadInput(f"{path} holds no prompts.")
    if isinstance(first := told[0], Broken) and all(isinstance(row, Broken) for row in told):
        raise BadInput(f"{path} holds no row that can be read, starting with {first.problem}. Is its ending the right one?")
    rows: list[Mapping[str, Json]] = [{} if isinstance(row, Broken) else row for row in told]
    names = list(dict.fromkeys(key for row in rows for key in row))
    name = _column(path, names, column)
    wrong = {number: broken_row for number, row in enumerate(told) if (broken_row := _broken(number, row, name))}
    if wrong and broken == "refuse":
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise BadInput(
            f"{path}, {wrong[min(wrong)].problem}{more}. Mend the file, or run germline prompts clean on it: it sets such rows aside."
        )
    found = [_text(wrong[number].text if number in wrong else row.get(name)) for number, row in enumerate(rows)]
    others = {_given(key): [row.get(key) for row in rows] for key in names if key != name}
    if wrong:
        others[UNREADABLE] = [wrong[number].problem if number in wrong else None for number in range(len(rows))]
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
    others = table.drop_columns([name])
    return others.rename_columns([_given(key) for key in others.column_names]).add_column(0, "prompt", prompts)


def _given(key: str) -> str:
    return "given_prompt" if key == "prompt" else key


def _with_source(table: pa.Table, path: Path) -> pa.Table:
    if set(OWN) <= set(table.column_names) and pa.types.is_integer(table["row"].type):  # an earlier stage's output
        return table
    table = table.rename_columns([f"given_{name}" if name in OWN else name for name in table.column_names])
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


def _broken(number: int, row: Row, name: str) -> Broken | None:
    """Return what is wrong with a row, None if nothing is."""
    if isinstance(row, Broken):
        return row
    value = row.get(name)
    if value is None or isinstance(value, str):
        return None
    return Broken(f"row {number}: a prompt must be text, but is {json.dumps(value)[:80]}", json.dumps(value))


def _text(value: Json) -> str:
    return str(value or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # JSON may hold half a surrogate pair
