"""The one file that opens other people's pickles: weights as tensors and arrays, and nothing that could run.

A pickle is a program. What is read here may name only what an allow-list holds, and those names stand for harmless doubles of
our own, so a hostile file can build nothing but nested dictionaries of numbers.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from germline.core import digest
from germline.core.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor  # the core is imported without torch

LIMIT = 2 << 30
LARGE = 16 << 30  # of a file that is mapped into memory, not read
OPERATIONS = 1_000_000
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
NUMBERS = re.compile(r"[fiu][1248]|b1")


def present(path: Path, what: str) -> None:
    """Refuse a path that leads nowhere.

    Raises:
        BadInput: there is no such file or folder.
    """
    if not path.exists():
        raise BadInput(f"{what}: there is no {path}; give the path of the weights.")


def verified(path: Path, checksum: str | None, what: str) -> bytes:
    """Return a file's content after checking its sha256; with ``checksum`` None, any content will do.

    Raises:
        BadInput: there is no such file, it is larger than 2 GiB, or another file than was expected.
    """
    present(path, what)
    if path.stat().st_size > LIMIT:
        raise BadInput(f"{what}: {path} has {path.stat().st_size} bytes, and no weights file above {LIMIT} is opened.")
    content = path.read_bytes()
    found = digest.of_bytes(content)
    if checksum is not None and found != checksum:
        raise _another(path, what, checksum, found)
    return content


def tensors(content: bytes, where: Path) -> dict[str, Tensor]:
    """Return the named tensors of a PyTorch checkpoint, read by torch's own restricted unpickler.

    Raises:
        BadInput: the file is damaged, unpacks to more than 2 GiB, names anything but tensors, or holds no tensors by name.
    """
    import torch

    if zipfile.is_zipfile(io.BytesIO(content)):
        _unpacked(io.BytesIO(content), where, LIMIT)
    try:
        found: object = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes the reader raise
        raise _refused(where, _culprit(str(error))) from error
    return _named(found, where)


def large(path: Path, what: str, checksum: str | None = None, under: str | None = None) -> dict[str, Tensor]:
    """Return the named tensors of a file of gigabytes: safetensors, or a PyTorch checkpoint, mapped into memory where it can be.

    ``under`` is the key below which some checkpoints keep them, beside other things; one without that key holds them itself.

    Raises:
        BadInput: there is no such file, or it is another one, damaged, hostile, or without tensors by name.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    present(path, what)
    if not path.is_file():
        raise BadInput(f"{what}: {path} is a folder; name the file of the weights in it.")
    if path.stat().st_size > LARGE:
        raise BadInput(f"{what}: {path} has {path.stat().st_size} bytes, and no weights file above {LARGE} is opened.")
    if checksum is not None and (found_sum := digest.of_path(path)) != checksum:
        raise _another(path, what, checksum, found_sum)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise BadInput(f"{what}: {path} is no whole safetensors file ({error}); get it again.") from error
    packed = zipfile.is_zipfile(path)
    if packed:
        _unpacked(path, path, LARGE)
    elif path.stat().st_size > LIMIT:
        raise BadInput(f"{what}: {path} is in torch's format of before 2020, of which nothing above {LIMIT} bytes is opened.")
    try:
        found: object = torch.load(path, map_location="cpu", weights_only=True, mmap=packed)
    except Exception as error:  # whatever a damaged or hostile file makes the reader raise
        raise _refused(path, _culprit(str(error))) from error
    return _named(found[under] if under is not None and isinstance(found, Mapping) and under in found else found, path)


def _unpacked(file: Path | io.BytesIO, where: Path, limit: int) -> None:
    """Refuse an archive that unpacks to more than ``limit`` bytes."""
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > limit:
        raise BadInput(f"{where} unpacks to {unpacked} bytes, and nothing above {limit} is opened.")


def _named(found: object, where: Path) -> dict[str, Tensor]:
    from torch import Tensor

    if not isinstance(found, Mapping) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items()):
        raise BadInput(f"{where} should hold tensors by name (a state dict), but holds something else; save model.state_dict().")
    return dict(found)


def arrays(content: bytes, where: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a pickle of nested dictionaries, by their path in it: "AlexNet_0/Conv_0/kernel".

    Raises:
        BadInput: the file is damaged or names anything that is not on the allow-list.
    """
    _scan(content, where)
    try:
        found: object = _Numbers(io.BytesIO(content)).load()
        return _flat(found)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error
    except Exception as error:  # whatever a damaged or hostile file makes the reader raise
        raise _refused(where, str(error) or type(error).__name__) from error


def _another(path: Path, what: str, checksum: str, found: str) -> BadInput:
    return BadInput(
        f"{what}: {path} is not the file that was expected: its sha256 should be {checksum}, but is {found}."
        " Download it again, or name the file that you mean."
    )


def _refused(where: Path, why: str) -> BadInput:
    return BadInput(
        f"{where} is refused: {why}. Only files that hold nothing but numbers are opened;"
        " get the weights from their source, or convert them to safetensors."
    )


def _culprit(message: str) -> str:
    """Return the part of torch's message that says what was refused, without its advice to trust the file."""
    named = re.search(r"(?:Unsupported global: )?GLOBAL (\S+)", message) or re.search(r"Trying to load unsupported GLOBAL (\S+)", message)
    return f"it asks for {named.group(1)}" if named else f"it cannot be read ({message.splitlines()[0] if message else 'no reason'})"


def _scan(content: bytes, where: Path) -> None:
    """Refuse, before anything is built, what makes a reader reserve more memory than the file is long."""
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(content)):
            if count > OPERATIONS:
                raise BadInput(f"{where} is refused: it has more than {OPERATIONS} instructions; weights need a few hundred.")
            if operation.name.endswith("PUT") and isinstance(argument, int) and argument > OPERATIONS:
                raise BadInput(f"{where} is refused: it asks for place {argument} of a memory that weights fill to a few hundred.")
    except (ValueError, UnicodeDecodeError) as error:
        if isinstance(error, BadInput):
            raise
        raise _refused(where, f"it is no whole pickle ({error})") from error


class _Numbers(pickle.Unpickler):
    """Builds dictionaries, lists, text and numbers; every global is one of the doubles below."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in ALLOWED:
            raise BadInput(f"it is refused, since it asks for {module}.{name}, which is not on the list of what weights need.")
        return _Double(name)

    def persistent_load(self, pid: object) -> object:
        raise BadInput(f"it is refused, since it points outside itself, to {pid!r}.")


class _Double:
    """Stands for one allowed name. It keeps no attributes, so a pickle cannot change it."""

    __slots__ = ("_name",)
    _name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def __setattr__(self, name: str, value: object) -> None:
        raise BadInput(f"it is refused, since it sets {name} of {self._name}.")

    def __call__(self, *arguments: object) -> object:
        if self._name == "_reconstruct":
            return _Array()
        if self._name == "dtype":
            return _Kind(arguments)
        if self._name == "encode" and len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1":
            return arguments[0].encode("latin1")  # how protocol 2 writes bytes
        raise BadInput(f"it is refused, since it calls {self._name} as weights never do.")


class _Kind:
    """A number format, such as float32 in little-endian order."""

    def __init__(self, arguments: tuple[object, ...]) -> None:
        if not arguments or not isinstance(arguments[0], str) or not NUMBERS.fullmatch(arguments[0]):
            raise BadInput(f"it is refused, since it holds the format {arguments[:1]}, which is no plain number.")
        self.code, self.order = arguments[0], "|"

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 3 or state[1] not in ("<", ">", "|", "="):
            raise BadInput("it is refused, since a number format has an unknown state.")
        self.order = state[1]


class _Array:
    """An array under construction: numpy's own pickled state, checked against the bytes that are there."""

    value: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise BadInput("it is refused, since an array has an unknown state.")
        _, shape, kind, by_column, data = state
        sound = isinstance(shape, tuple) and all(isinstance(size, int) and size >= 0 for size in shape)
        if not sound or not isinstance(kind, _Kind) or not isinstance(data, bytes):
            raise BadInput("it is refused, since an array is made of something else than numbers.")
        dtype = np.dtype(kind.order.replace("|", "=") + kind.code)
        if math.prod(shape) * dtype.itemsize != len(data):
            raise BadInput(
                f"it is damaged: an array of shape {shape} in {dtype} needs {math.prod(shape) * dtype.itemsize} bytes,"
                f" but {len(data)} are there."
            )
        self.value = np.frombuffer(data, dtype).reshape(shape, order="F" if by_column else "C").astype(dtype.newbyteorder("="))


def _flat(found: object) -> dict[str, np.ndarray]:
    """Return the arrays of nested dictionaries; one that is reached twice is refused, so that a loop ends."""
    out: dict[str, np.ndarray] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", found)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, _Array) and value.value is not None:
            out[place] = value.value
        elif isinstance(value, dict) and id(value) not in seen and all(isinstance(key, str) for key in value):
            seen.add(id(value))
            waiting += [(f"{place}/{key}" if place else key, item) for key, item in value.items()]
        else:
            raise BadInput(f"it should hold arrays in nested dictionaries, but at {place or 'its top'} it holds a {type(value).__name__}.")
    return dict(sorted(out.items()))
