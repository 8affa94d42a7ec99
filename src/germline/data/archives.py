"""Files inside packages, read without unpacking or running anything: Debian's .deb and npm's .tgz."""

import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO

from germline.core import digest
from germline.core.errors import BadInput

AR = b"!<arch>\n"


def verify(path: Path, sha256: str) -> None:
    """Check that an archive is the very one that was published.

    Raises:
        BadInput: its sha256 is another.
    """
    found = digest.of_file(path)
    if found != sha256:
        raise BadInput(
            f"{path} has sha256 {found}, but {sha256} was expected: it is damaged or of another version."
            " Fetch it again; or, if you trust it, unpack it yourself and name the folder."
        )


def read(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return the content of the named files in a .deb or a (compressed) tar; names that are not inside are left out.

    Raises:
        BadInput: the archive is damaged.
    """
    return dict(members(path, names.__contains__))


def members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files in a .deb or a (compressed) tar, one after the other, as they lie there.

    Raises:
        BadInput: the archive is damaged.
    """
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_tar(file), mode="r:*") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isfile() and wanted(name) and (content := tar.extractfile(member)):
                    yield name, content.read()
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise BadInput(f"{path} is not a readable archive ({error}). Fetch it again.") from error


def _tar(file: IO[bytes]) -> IO[bytes]:
    """Return the tar inside a .deb; any other file is taken for a tar itself."""
    if file.read(len(AR)) != AR:
        file.seek(0)
        return file
    return next(io.BytesIO(data) for name, data in _members(file) if name.startswith("data.tar"))


def _members(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of an ar archive's members: headers of 60 bytes, contents padded to an even length."""
    while len(header := file.read(60)) == 60:
        size = int(header[48:58])
        yield header[:16].decode("ascii").strip().removesuffix("/"), file.read(size)
        file.seek(size % 2, io.SEEK_CUR)
    raise tarfile.ReadError("no data.tar inside")
