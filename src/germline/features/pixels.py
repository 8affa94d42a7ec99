"""The image itself as its features."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from germline.core.context import Context
from germline.core.pool import Pool


@dataclass(frozen=True)
class Pixels:
    """Every pixel value, 0..255, rows of the image first, channels last: two images that differ by 1 everywhere are sqrt(d) apart."""

    name: ClassVar[str] = "pixels"
    cached: ClassVar[bool] = False

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return (n, height * width * channels) float32."""
        images: np.ndarray = pool.images[:]
        return images.reshape(len(pool), -1).astype(np.float32)
