"""The control that only passes the VAE: what encoding, decoding and saving in 8 bits do to images, once a generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from germline.core.context import Context
from germline.core.pool import Pool, Rows
from germline.core.protocols import Sampler
from germline.diffusion.precision import threads
from germline.pipelines.latents import decoded, encoded
from germline.pipelines.opened import open_pipeline, place
from germline.samplers.sample_pipeline import fitting

Made = TypeVar("Made", contravariant=True)


@dataclass(frozen=True)
class ReEncoded(Generic[Made]):
    """Return the last generation's samples after one passage of a pipeline's VAE: encoded (its mean, no draw), decoded, in 8 bits.

    Generation 0 is made by ``sampler``; without one it is the real rows after one passage. No training and no diffusion: the decay that
    the VAE alone brings to a chain of the whole pipeline. Row i is row i of the last generation.

    Source: ours (a control for the Chain of Diffusion, arXiv 2407.17493).

    Attributes:
        n: rows a generation.
        base: the pipeline whose VAE it is: a folder, or a name on the hub.
        revision: of a name on the hub.
        sampler: makes generation 0.
        size: pixels a side; the pipeline's own when not given. The data's images must have it.

    Raises:
        BadInput: there is no such pipeline, or the data's images have another size.
    """

    n: int
    base: Path | str
    revision: str | None = None
    sampler: Sampler[Made] | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", place(self.base))

    def __call__(self, model: Made, rows: Rows, ctx: Context) -> Pool:
        """Return one image a row."""
        if ctx.generation == 0 and self.sampler is not None:
            return self.sampler(model, rows, ctx)
        base = open_pipeline(self.base, self.revision)
        side = base.size if self.size is None else self.size
        fitting(side, ctx, "ReEncoded")
        last = ctx.samples(ctx.generation - 1) if ctx.generation else ctx.data.real
        pool = last.take(np.asarray(rows, np.int64) % len(last))
        with threads(ctx.execution.threads):
            mean, _ = encoded(base, pool.images[:], side)
            return Pool.of(decoded(base, mean), pool.condition, ctx.generation)
