"""Files that are there whole or not at all: written beside, flushed to the disk, renamed."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from germline.core.errors import BadInput, GermlineError

ABANDONED = 3600.0  # seconds: a temporary of another machine's process may look as if nobody had it


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it and rename it over ``path``, else delete it.

    Raises:
        GermlineError: the disk is full or the folder is read-only; what was there before is unharmed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
    except OSError as error:
        raise GermlineError(
            f"Cannot write {path}: {error.strerror or error}. Free the disk or fix its permissions, then run again."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; on success flush all of it and rename it to ``path``, else delete it.

    Raises:
        BadInput: ``path`` is there already.
        GermlineError: the disk is full or the folder is read-only.
    """
    if path.exists() or path.is_symlink():
        raise BadInput(f"{path} is there already, and export overwrites nothing; name a new folder.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    remove_abandoned(path.parent, path.name)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for inside in sorted(temporary.rglob("*")):
            flush(inside)
        temporary.rename(path)
        flush(path.parent)
    except OSError as error:
        raise GermlineError(f"Cannot write {path}: {error.strerror or error}. Free the disk or fix its permissions.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_abandoned(folder: Path, name: str = "*") -> None:
    """Remove what processes that were killed left of ``name`` under temporary names, an hour ago or longer."""
    for left in folder.glob(f".{name}.*.tmp"):
        found = re.search(r"\.(\d+)\.tmp$", left.name)
        with suppress(OSError):
            if found and not _runs(int(found.group(1))) and time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def flush(path: Path) -> None:
    """Force a file's content, or a folder's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
