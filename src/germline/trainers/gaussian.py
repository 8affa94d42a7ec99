"""The smallest model that can eat itself: an independent Gaussian a pixel, fitted in closed form."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from germline.core.context import Context
from germline.core.pool import Pool

Moments = Mapping[str, Float64[np.ndarray, "h w c"]]


@dataclass(frozen=True)
class FitGaussian:
    """Fit mean and variance of every pixel, in grey levels, by weighted maximum likelihood (``ddof`` 0) or n - 1 (``ddof`` 1).

    An image of h x w pixels is h * w scalar chains at once, so one run measures the laws of ``germline.theory.chains``.
    """

    ddof: int = 0

    def __call__(self, data: Pool, previous: Moments | None, ctx: Context) -> Moments:
        """Return {"mean", "variance"}, each (h, w, c)."""
        x = data.images[:].astype(np.float64)
        weight = np.exp(data.log_weight - data.log_weight.max())
        weight = (weight / weight.sum())[:, None, None, None]
        mean = (weight * x).sum(axis=0)
        variance = (weight * (x - mean) ** 2).sum(axis=0)
        return {"mean": mean, "variance": variance * len(x) / (len(x) - self.ddof)}

    def arrays(self, model: Moments) -> Moments:
        """Return the moments themselves."""
        return model

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Moments:
        """Return the moments themselves."""
        return arrays
