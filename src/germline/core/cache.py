"""What is computed once and kept in one folder a study: fitted arrays, and features in fixed blocks of their source."""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from germline.core.atomic import replacing

Arrays = Mapping[str, np.ndarray]


class Cache:
    """Arrays under a folder, by key; a key is a digest of everything the arrays depend on. Losing the folder loses only time.

    Without a folder, only what ``once`` makes is kept, in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, Arrays] = {}

    def once(self, key: str, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of ``key``; the first call makes and keeps them, in memory and on disk. Other processes wait for it."""
        if key not in self._memory:
            with self._alone(key):
                self._memory[key] = self.on_disk(key, make)
                if unfinished := self.unfinished(key):
                    shutil.rmtree(unfinished, ignore_errors=True)
        return self._memory[key]

    def unfinished(self, key: str) -> Path | None:
        """Return the folder where what makes ``key`` may leave checkpoints until it is made, whichever process goes on; None in memory."""
        return None if self._folder is None else self._folder / key[:2] / f"{key}.unfinished"

    def file(self, key: str, ending: str) -> Path | None:
        """Return the path of a file that its user writes and reads, such as an append-only one; None in memory."""
        return None if self._folder is None else self._folder / key[:2] / f"{key}{ending}"

    def on_disk(self, key: str, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of ``key``, kept on disk only. A damaged file is made again."""
        if self._folder is None:
            return dict(make())
        path = self._folder / key[:2] / f"{key}.safetensors"
        try:
            return load_file(path)
        except (FileNotFoundError, SafetensorError):
            arrays = {name: np.ascontiguousarray(array) for name, array in make().items()}
            with replacing(path) as temporary:
                save_file(arrays, temporary)
            return arrays

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Hold ``key`` for this process: a fit takes seconds to minutes, and the arms of a study ask for the same one at once."""
        if self._folder is None:
            yield
            return
        path = self._folder / key[:2] / f"{key}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
