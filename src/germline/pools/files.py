"""The files of a pool, wherever they lie: on this machine, or behind fsspec (S3, GCS, HTTP, ...). Every one is accounted for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path
from typing import BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from germline.core import digest
from germline.core.errors import BadInput, GermlineError, MissingExtra
from germline.data.pictures import Unreadable
from germline.pools.shard import LARGEST, printable

STAMPS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True)
class File:
    """A file: its name inside the pool, where it lies, its size in bytes, a stamp that changes with it; or why it is left out."""

    name: str
    path: str
    size: int = 0
    stamp: str = ""
    fs: fsspec.AbstractFileSystem | None = None
    skipped: str = ""

    def open(self) -> BinaryIO:
        """Return the open file."""
        return cast(BinaryIO, Path(self.path).open("rb") if self.fs is None else self.fs.open(self.path, "rb"))

    def read(self) -> bytes:
        """Return the whole content.

        Raises:
            Unreadable: it is larger than a picture can be.
        """
        if self.size > LARGEST:
            raise Unreadable(f"its {self.size:,} bytes are more than a picture's")
        try:
            with self.open() as file:
                return file.read()
        except OSError as error:
            self.not_the_line(error)
            raise

    def not_the_line(self, error: Exception) -> None:
        """Refuse an error of the line to another machine: what failed to come may come next time, so it is not skipped.

        Raises:
            GermlineError: the file lies elsewhere, and the error may be one of the line.
        """
        if self.fs is not None and isinstance(error, OSError) and not isinstance(error, FileNotFoundError | BadGzipFile):
            raise GermlineError(
                f"{self.path} could not be fetched ({error}). Run the same command to go on; if it stays so, the file is damaged:"
                " leave it out."
            ) from error

    @property
    def local(self) -> str | None:
        """The path, if it is one on this machine."""
        return self.path if self.fs is None else None


def files_of(pool: str) -> list[File]:
    """Return every file of a folder, or the one file that ``pool`` names, sorted by path; those that cannot be used have a reason.

    Raises:
        BadInput: there is nothing there.
        GermlineError: an address could not be listed.
        MissingExtra: the library for such addresses is not installed.
    """
    if "://" not in pool and "::" not in pool:
        path = Path(pool).expanduser()
        if not path.exists():
            raise BadInput(f"--pool {pool} does not exist; name a folder, or a .tar, .parquet, .npz or .npy file.")
        return [_local(path, path.name)] if path.is_file() else list(_walk(path))
    try:
        fs, root = fsspec.core.url_to_fs(pool)
    except (ImportError, ValueError) as error:
        raise MissingExtra(f"--pool {pool} needs a library that is not installed: {error}.") from error
    if isinstance(fs, LocalFileSystem):
        return files_of(root)
    found = _found(fs, root, pool)
    if not found:
        raise BadInput(f"--pool {pool} holds no files, or does not exist.")
    return [_remote(fs, path, root, about) for path, about in sorted(found.items())]


def _found(fs: fsspec.AbstractFileSystem, root: str, pool: str) -> dict[str, dict[str, object]]:
    try:
        return cast("dict[str, dict[str, object]]", fs.find(root, detail=True))
    except FileNotFoundError:
        return {}
    except Exception as error:  # the libraries behind fsspec have errors of their own, of no common kind
        raise GermlineError(
            f"--pool {pool} could not be listed ({error}). Look at the address, the credentials and the line, and run the command again."
        ) from error


def _remote(fs: fsspec.AbstractFileSystem, path: str, root: str, about: dict[str, object]) -> File:
    name = path[len(root) :].lstrip("/") if path != root else path.rsplit("/", 1)[-1]
    stamp = "/".join(str(about[key]) for key in STAMPS if about.get(key))
    hidden = "it is hidden" if any(part.startswith(".") for part in name.split("/")) else ""
    return File(name, path, int(cast(int, about.get("size") or 0)), stamp, fs, hidden)


def _local(path: Path, name: str) -> File:
    try:
        status = path.stat()
    except OSError as error:
        return File(printable(name), str(path), skipped=f"it cannot be opened ({error.strerror})")
    if not stat.S_ISREG(status.st_mode):
        return File(printable(name), str(path), skipped="it is no regular file")
    hidden = "it is hidden" if path.name.startswith(".") else ""
    return File(printable(name), str(path), status.st_size, str(status.st_mtime_ns), skipped=hidden)


def _walk(folder: Path) -> Iterator[File]:
    """Yield files below a folder, sorted; links are followed, and no folder is entered twice."""
    seen: set[tuple[int, int]] = set()

    def below(where: Path, name: str) -> Iterator[File]:
        shown = printable(name)
        if name and Path(name).name.startswith("."):
            yield File(shown, str(where), skipped="the folder is hidden")
            return
        try:
            status = where.stat()
            if (status.st_dev, status.st_ino) in seen:
                yield File(shown, str(where), skipped="the folder is read already, by another name")
                return
            seen.add((status.st_dev, status.st_ino))
            names = sorted(os.listdir(where))
        except OSError as error:
            yield File(shown, str(where), skipped=f"the folder cannot be opened ({error.strerror})")
            return
        for inside in names:
            path, relative = where / inside, f"{name}/{inside}" if name else inside
            if path.is_dir():
                yield from below(path, relative)
            else:
                yield _local(path, relative)

    return below(folder, "")


def key_of(files: Sequence[File], more: digest.Json = None) -> str:
    """Return the digest of a shard of these files: their names, sizes and stamps, not their content, which would have to be read."""
    listed: list[digest.Json] = [[file.name, file.size, file.stamp] for file in files]
    return digest.of_json([listed, more])
