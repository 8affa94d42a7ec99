"""Images from an independent Gaussian a pixel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from germline.core.context import Context
from germline.core.pool import Pool, Rows


@dataclass(frozen=True)
class DrawGaussian:
    """Draw ``n`` images from the moments that ``FitGaussian`` fits, rounded to grey levels. Row i has class i mod C."""

    n: int = 2_000

    def __call__(self, model: Mapping[str, np.ndarray], rows: Rows, ctx: Context) -> Pool:
        """Return one image a row."""
        noise = ctx.normal("sample", rows, model["mean"].shape)
        x = model["mean"] + np.sqrt(model["variance"]) * noise
        images = np.clip(np.rint(x), 0, 255).astype(np.uint8)
        return Pool.of(images, np.asarray(rows, np.int64) % len(ctx.data.classes), ctx.generation)
