"""Content hashes: of arrays, files and the configuration of parts. Equal digests mean equal results."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from germline.core.known_hashes import remembered

OF_NO_CONSEQUENCE = {"identity": False}  # metadata of a field that changes no result: how long to wait, say
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def of_bytes(data: bytes) -> str:
    """Return the sha256 of ``data``, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Return the sha256 of a file's content, read in pieces of 1 MiB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_array(array: np.ndarray) -> str:
    """Return the sha256 of an array's dtype, shape and values, without holding more than 64 MiB of it."""
    state = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    rows = max(1, (64 << 20) // max(1, array[:1].nbytes)) if array.ndim else 1
    for start in range(0, len(array), rows) if array.ndim else (0,):
        state.update(np.ascontiguousarray(array[start : start + rows] if array.ndim else array).tobytes())
    return state.hexdigest()


def canonical(value: Json) -> str:
    """Return the one JSON text of ``value``: sorted keys, no blanks. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def of_json(value: Json) -> str:
    """Return the sha256 of a JSON value's canonical text."""
    return of_bytes(canonical(value).encode())


def describe(part: object) -> Json:
    """Return the configuration of a part as JSON: its class, version and fields, followed into nested parts.

    A path becomes the sha256 of what it names, so moving a file does not change a run's identity, and editing it does.

    Raises:
        TypeError: a field holds something that is not configuration (a tensor, an open file, ...).
    """
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        fields: dict[str, Json] = {
            f.name: describe(getattr(part, f.name)) for f in dataclasses.fields(part) if f.metadata.get("identity", True)
        }
        return {"part": name_of(type(part)), "version": getattr(part, "version", 1), **fields}
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, np.integer | np.floating):
        return describe(part.item())
    if isinstance(part, Path):
        return {"sha256": of_path(part)}
    if isinstance(part, tuple | list):
        return [describe(item) for item in part]
    if isinstance(part, Mapping):
        return {str(key): describe(item) for key, item in part.items()}
    if isinstance(part, partial):
        return {"partial": describe(part.func), "args": describe(part.args), "keywords": describe(part.keywords)}
    if callable(part) and hasattr(part, "__qualname__"):
        return {"function": name_of(part)}
    raise TypeError(f"A part's fields are its configuration, but one holds a {type(part).__name__}; use numbers, text, paths or parts.")


def name_of(thing: type | Callable[..., object]) -> str:
    """Return ``module:qualified.name``."""
    return f"{thing.__module__}:{thing.__qualname__}"


def of_path(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's names and contents in sorted order."""
    if path.is_dir():
        return of_json({str(p.relative_to(path)): _once(p) for p in sorted(path.rglob("*")) if p.is_file()})
    return _once(path)


def _once(path: Path) -> str:
    """Return a file's hash; one whose size and time have not changed since is not read again, since parts are described often."""
    status = path.stat()
    return _of_unchanged(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _of_unchanged(path: Path, inode: int, size: int, time: int) -> str:
    return remembered(path, of_file)


def of_part(part: object) -> str:
    """Return the sha256 of a part's configuration."""
    return of_json(describe(part))
