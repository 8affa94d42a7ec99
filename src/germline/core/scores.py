"""Scores that were computed once, in append-only files: by image, condition and scorer."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from germline.core import digest
from germline.core.errors import GermlineError

Pair = tuple[str, str]  # the sha256 of an image and of its condition
CHECK = 8  # hex digits of a line's own hash, so that a torn or altered line is not believed


@dataclass(frozen=True)
class _Read:
    """What this process has read of a file: so many bytes, all whole lines, and when the file was changed last."""

    bytes: int = 0
    time: int = 0
    scores: dict[Pair, float] = field(default_factory=dict)


_READ: dict[Path, _Read] = {}  # the last files read, so that a file that grows with every generation is not parsed anew in each
FILES = 4


def pair_of(image: UInt8[np.ndarray, "h w c"], condition: str) -> Pair:
    """Return what a score is known by: the sha256 of the image's pixels and shape, and of its condition's text."""
    return digest.of_array(image), digest.of_bytes(condition.encode())


class Scores:
    """The scores of one scorer, a line each: image, condition, score, check. Several processes may append at once.

    A line that is torn or altered counts as not there, so losing some of the file loses only time. Without a path, nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> dict[Pair, float]:
        """Return all scores that are there; of a file that grew since this process read it, only what is new is parsed."""
        if self._path is None or not self._path.exists():
            return {}
        seen = _READ.pop(self._path, _Read())
        with self._path.open("rb") as file:
            state = os.fstat(file.fileno())
            if seen.bytes > state.st_size or (seen.bytes == state.st_size and seen.time != state.st_mtime_ns):
                seen = _Read()
            file.seek(seen.bytes)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        seen = _Read(seen.bytes + len(whole), state.st_mtime_ns, seen.scores | _parsed_of(whole))
        while len(_READ) >= FILES:
            del _READ[next(iter(_READ))]
        _READ[self._path] = seen
        return seen.scores | _parsed_of(new[len(whole) :])

    def append(self, scores: Mapping[Pair, float] | Iterable[tuple[Pair, float]]) -> None:
        """Add scores, on disk before this returns.

        Raises:
            GermlineError: the disk is full or the folder is read-only.
        """
        if self._path is None:
            return
        items = scores.items() if isinstance(scores, Mapping) else scores
        lines = "".join(_line(pair, score) for pair, score in items)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(b"\n" * _torn(self._path) + lines.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise GermlineError(
                f"Cannot write {self._path}: {error.strerror or error}. Free the disk or fix its permissions, then run again."
            ) from error


def users_folder() -> Path:
    """Return the folder of what is kept for images that belong to no run: $XDG_CACHE_HOME/germline, or ~/.cache/germline."""
    where = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(where) if os.path.isabs(where) else Path.home() / ".cache") / "germline"


def _line(pair: Pair, score: float) -> str:
    about: dict[str, digest.Json] = {"image": pair[0], "condition": pair[1], "score": float(score)}
    return json.dumps({**about, "check": digest.of_json(about)[:CHECK]}) + "\n"


def _parsed_of(lines: bytes) -> dict[Pair, float]:
    return dict(found for line in lines.splitlines() if (found := _parsed(line)))


def _parsed(line: bytes) -> tuple[Pair, float] | None:
    try:
        found = json.loads(line)
        about: dict[str, digest.Json] = {"image": found["image"], "condition": found["condition"], "score": found["score"]}
        score = float(found["score"])
        whole = found["check"] == digest.of_json(about)[:CHECK] and math.isfinite(score)
    except (ValueError, KeyError, TypeError):
        return None
    return ((found["image"], found["condition"]), score) if whole else None


def _torn(path: Path) -> bool:
    """Return whether the file's last line was cut off, by a kill in mid-writing."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
