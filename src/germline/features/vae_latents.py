"""What a pipeline's VAE makes of an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from germline.core.context import Context
from germline.core.pool import Pool
from germline.pipelines.latents import encoded
from germline.pipelines.opened import open_pipeline, place


@dataclass(frozen=True)
class VAELatents:
    """Features (n, channels * height * width): the mode of the latents' law, as the VAE gives it or as the network knows it.

    Source: the space of the distances of arXiv 2502.09963, Eq. 5, which does not say whether they are scaled.

    Attributes:
        base: the pipeline, a folder or a name on the hub.
        revision: of a name on the hub.
        size: pixels a side that images are brought to; the pipeline's own when not given.
        scaled: times the VAE's scaling factor, 0.18215 for Stable Diffusion 1.
    """

    base: Path | str
    revision: str | None = None
    size: int | None = None
    scaled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", place(self.base))

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return one row of latents an image."""
        opened = open_pipeline(self.base, self.revision)
        modes = [encoded(opened, images, self.size)[0].flatten(1).numpy() for images in pool.images.blocks(64)]
        latents: np.ndarray = np.concatenate(modes)
        if self.scaled:
            return latents
        config = opened.vae.config
        unscaled: np.ndarray = latents / np.float32(config.scaling_factor) + np.float32(config.shift_factor or 0.0)
        return unscaled
