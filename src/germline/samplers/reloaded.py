"""The control that makes nothing: each generation's samples are the last one's, read back from where they were saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from germline.core.context import Context
from germline.core.pool import Pool, Rows
from germline.core.protocols import Sampler

Made = TypeVar("Made", contravariant=True)


@dataclass(frozen=True)
class Reloaded(Generic[Made]):
    """Let ``sampler`` make generation 0; later generations are the same images, saved and loaded again.

    What changes along such a chain, saving alone does: nothing, where images are kept without loss as 8-bit numbers.

    Source: ours (a control for the Chain of Diffusion, arXiv 2407.17493).
    """

    sampler: Sampler[Made]

    @property
    def n(self) -> int:
        """Rows a generation."""
        return self.sampler.n

    def __call__(self, model: Made, rows: Rows, ctx: Context) -> Pool:
        """Return one image a row."""
        if ctx.generation == 0:
            return self.sampler(model, rows, ctx)
        last = ctx.samples(ctx.generation - 1).take(np.asarray(rows, np.int64))
        return Pool.of(last.images[:], last.condition, ctx.generation)
