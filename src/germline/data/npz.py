"""Arrays in one .npz file: atomic, never a pickle, and with equal bytes for equal arrays."""

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from germline.core.atomic import replacing
from germline.core.errors import BadInput

DAMAGED = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)
PIECE = 16 << 20  # bytes of rows that are in memory at once


def write(path: Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write arrays under their names; every member is dated 1980, so the bytes depend on the arrays and liblzma alone."""
    method = zipfile.ZIP_LZMA if compress else zipfile.ZIP_STORED
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", method) as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = method
            file.writestr(member, content.getvalue())


def read(path: Path) -> dict[str, np.ndarray]:
    """Return every array of a .npz file.

    Raises:
        BadInput: the file is damaged, is no .npz, or holds Python objects (which are never unpickled).
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise BadInput(f"{path} holds one array, not named ones; save it with np.savez(path, images=..., labels=...).")
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{path} is not a readable .npz file ({error}); save it again with np.savez(path, images=..., labels=...)."
        ) from error


def header(content: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether columns come first, and type of the array that follows; ``content`` then stands at its first number.

    Raises:
        ValueError: it is no array.
    """
    version = np.lib.format.read_magic(content)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, kind = read_header(content)
    return shape, columns_first, kind


def rows(content: IO[bytes], name: str) -> Iterator[np.ndarray]:
    """Yield the rows of one array of an open .npz file in order, in pieces; of one whose columns come first all at once.

    Raises:
        ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error: (``DAMAGED``) the file is damaged, or has no such array.
    """
    with zipfile.ZipFile(content) as archive, archive.open(f"{name}.npy") as member:
        shape, columns_first, kind = header(member)
        if columns_first:
            member.seek(0)
            yield np.lib.format.read_array(member, allow_pickle=False)
            return
        row = int(np.prod(shape[1:])) * kind.itemsize
        for start in range(0, shape[0], step := max(1, PIECE // max(1, row))):
            count = min(step, shape[0] - start)
            piece = member.read(count * row)
            if len(piece) < count * row:
                raise EOFError(f"{name} ends after {start * row + len(piece):,} bytes of {shape[0] * row:,}")
            yield np.frombuffer(piece, kind).reshape(count, *shape[1:])
