"""Arrays in one .npz file: atomic, never a pickle, and with equal bytes for equal arrays."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from germline.core.atomic import replacing
from germline.core.errors import BadInput


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
