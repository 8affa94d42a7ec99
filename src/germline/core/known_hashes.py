"""Hashes of large files, remembered between processes: gigabytes of weights are read once, not at every resume.

One small file for each under the user's cache; losing the folder loses only time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from germline.core.atomic import write_bytes
from germline.core.errors import GermlineError

LARGE = 64 << 20  # bytes; what is smaller is hashed sooner than looked up


def remembered(path: Path, of_file: Callable[[Path], str]) -> str:
    """Return ``of_file(path)``, from an earlier process if the file has not changed since.

    Unchanged means: equal place, inode, size, and times of change of content and of status. The last one no program can set back, so a
    file that was edited and given its old date is read again.
    """
    status = path.stat()
    if status.st_size < LARGE:
        return of_file(path)
    said = f"{path.resolve()}/{status.st_ino}/{status.st_size}/{status.st_mtime_ns}/{status.st_ctime_ns}"
    note = _folder() / sha256(said.encode()).hexdigest()
    with suppress(OSError):
        known = note.read_text()
        if len(known) == 64:
            return known
    found = of_file(path)
    with suppress(GermlineError):  # a read-only home costs time only
        write_bytes(note, found.encode())
    return found


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "germline" / "hashes"
