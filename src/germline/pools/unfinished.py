"""Where a long search keeps how far it came, so that a kill costs half a minute."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from germline.core.digest import Json, of_json
from germline.core.errors import BadInput
from germline.data import npz

FOLDER, SECONDS = "unfinished", 20.0


class Unfinished:
    """A file of arrays for one search: everything it depends on is in ``of``, so another search never goes on from it."""

    def __init__(self, out: Path, of: Json) -> None:
        self._path = out / FOLDER / f"{of_json(of)[:24]}.npz"
        self._saved = time.monotonic()

    def load(self) -> Mapping[str, np.ndarray] | None:
        """Return what was saved last; None if nothing was, or the file is damaged."""
        try:
            return npz.read(self._path) if self._path.exists() else None
        except BadInput:
            return None

    def save(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Save, if the last time is long ago; atomically."""
        if time.monotonic() - self._saved >= SECONDS:
            npz.write(self._path, state())
            self._saved = time.monotonic()

    def finish(self, state: Mapping[str, np.ndarray]) -> None:
        """Save the end, so that what comes after may be killed too."""
        npz.write(self._path, state)


def forget(out: Path) -> None:
    """Remove what searches left: their results are written."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)
