"""IDX, the format of MNIST and its kin: two zero bytes, a type, a number of axes, their big-endian sizes, the values."""

import gzip
import zlib

import numpy as np
from jaxtyping import UInt8

from germline.core.errors import BadInput

UNSIGNED_BYTE = 8


def parse(data: bytes, where: str) -> UInt8[np.ndarray, "..."]:
    """Return the array of an IDX file's content, gzipped or not; ``where`` names the file in errors.

    Raises:
        BadInput: the content is no IDX file of unsigned bytes, or is cut short.
    """
    raw = inflated(data, where)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != UNSIGNED_BYTE or not 1 <= raw[3] <= 4:
        raise BadInput(f"{where} is not an IDX file of unsigned bytes: it starts with {raw[:4].hex(' ')}. Fetch it again.")
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(4, start, 4))
    expected = start + int(np.prod(shape, dtype=object))
    if len(raw) != expected:
        raise BadInput(f"{where} says it holds {shape}, {expected} bytes, but has {len(raw)}: it was cut short. Fetch it again.")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def inflated(data: bytes, where: str) -> bytes:
    """Return the content of a gzip file, or ``data`` itself when it is not one."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{where} is a damaged gzip file ({error}). Fetch it again.") from error
