"""Seeds by place: every random number is a function of (seed, generation, stage, place), never of the order of calls."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from germline.core.digest import of_bytes


def key(seed: int, generation: int, stage: str) -> np.ndarray:
    """Return the 128-bit Philox key of a stage, as two uint64."""
    digest = of_bytes(f"{seed}/{generation}/{stage}".encode())
    return np.array([int(digest[:16], 16), int(digest[16:32], 16)], dtype=np.uint64)


def rng(seed: int, generation: int, stage: str, place: int = 0, step: int = 0) -> np.random.Generator:
    """Return the random generator of one place (a row, a batch) and step of a stage.

    Philox (Salmon et al. 2011) is counter-based: place and step are words of the counter, so streams of different places
    do not overlap and none has to be drawn to reach another.
    """
    return np.random.Generator(np.random.Philox(key=key(seed, generation, stage), counter=[0, 0, step, place]))


def normal(
    seed: int, generation: int, stage: str, rows: Sequence[int] | np.ndarray, shape: tuple[int, ...], step: int = 0
) -> Float32[np.ndarray, "rows *shape"]:
    """Return standard normal noise for each row number, the same whatever rows are asked for beside it."""
    words = key(seed, generation, stage)
    out = np.empty((len(rows), *shape), np.float32)
    for into, row in zip(out, rows, strict=True):
        np.random.Generator(np.random.Philox(key=words, counter=[0, 0, step, int(row)])).standard_normal(dtype=np.float32, out=into)
    return out
