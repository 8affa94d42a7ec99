"""JSON files that carry their own hash, so that a flipped byte is seen wherever it lies."""

import json
from collections.abc import Mapping
from pathlib import Path

from germline.core import digest
from germline.core.atomic import write_bytes
from germline.core.digest import Json
from germline.core.errors import Corrupt

SEAL = "sha256"


def write(path: Path, value: Mapping[str, Json]) -> None:
    """Write ``value`` and its hash to ``path`` atomically, in the one form that ``read`` accepts."""
    write_bytes(path, _text(value).encode())


def read(path: Path) -> dict[str, Json]:
    """Return the value of a sealed file.

    Raises:
        Corrupt: the file is missing, or any byte of it changed.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        raise Corrupt(f"{path} is missing; take it from a copy of the run, or start the run again in a new folder.") from None
    return parse(text, str(path))


def parse(text: str, where: str) -> dict[str, Json]:
    """Return the value of a sealed text; ``where`` names it in the error."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or SEAL not in value:
        raise Corrupt(f"{where} is damaged: not the JSON that was written. Take it from a copy of the run.")
    value.pop(SEAL)
    if text != _text(value):
        raise Corrupt(f"{where} is damaged: its content does not match the hash inside it. Take it from a copy of the run.")
    return value


def line(value: Mapping[str, Json]) -> str:
    """Return ``value`` sealed, on one line."""
    return digest.canonical({**value, SEAL: digest.of_json(dict(value))}) + "\n"


def parse_line(text: str, where: str) -> dict[str, Json]:
    """Return the value of a line; the inverse of ``line``."""
    try:
        value = json.loads(text)
    except ValueError:
        value = {}
    seal = value.pop(SEAL, None) if isinstance(value, dict) else None
    if seal is None or line(value) != text:
        raise Corrupt(f"{where} is damaged. It holds no results: delete the line or the file.")
    return dict(value)


def _text(value: Mapping[str, Json]) -> str:
    return json.dumps({**value, SEAL: digest.of_json(dict(value))}, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
