"""A user's own function as a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float64, UInt8

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool

Rates = Callable[[UInt8[np.ndarray, "b h w c"], np.ndarray], Float[np.ndarray, " b"]]
BLOCK = 250


@dataclass(frozen=True)
class Function:
    """What ``function(images, conditions)`` returns: one number an image, more is better. Conditions are classes or prompts.

    It is called with blocks of at most 250 rows in order, so it must judge each row for itself. A run knows it by its name, not by
    what it does, so nothing is kept: it is called again whenever scores are asked for. ``germline score`` and ``serve`` know it by the
    content of its file too: what they made of it before an edit is made again.

    Raises:
        BadInput: it returned another number of scores, or one that is no number.
    """

    function: Rates
    name: str = "function"
    preprocessing: ClassVar[str] = "none"

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one score a row."""
        out = np.empty(len(pool))
        with ctx.progress(f"score {self.name}", len(pool)) as advance:
            for start in range(0, len(pool), BLOCK):
                rows = np.arange(start, min(start + BLOCK, len(pool)))
                found = np.asarray(self.function(pool.images[rows], pool.condition[rows]))
                who = getattr(self.function, "__qualname__", self.name)
                if found.shape != rows.shape or not np.issubdtype(found.dtype, np.number):
                    raise BadInput(f"{who} must return {len(rows)} numbers, one an image, but returned {found.dtype} {found.shape}.")
                if not np.isfinite(found).all():
                    raise BadInput(f"{who} returned NaN or infinity in row {start + int(np.flatnonzero(~np.isfinite(found))[0])}.")
                out[rows] = found
                advance(len(rows))
        return out
