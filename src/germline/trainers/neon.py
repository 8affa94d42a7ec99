"""Neon: train on one's own samples, then go the other way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Trainer

M = TypeVar("M")


@dataclass(frozen=True)
class Neon(Generic[M]):
    """Let ``trainer`` go on from the last generation's model, and return (1 + w) previous - w trained, on every array of the model.

    The data are meant to be the previous model's own samples (``Replace``). **w = 0 is the previous model**, w = -1 the trained one;
    w here is the paper's, not a guidance scale, which counts from 1. What is averaged and what training goes on from are
    extrapolated alike (ours: the paper does it once, and does not go on). For a Gaussian fitted to its own n samples, a step
    multiplies the expected variance by 1 + w/n, where plain self-training multiplies it by 1 - 1/n (ours); weights may go anywhere,
    but what must stay positive, as a variance, need not with a large w.

    Source: Alemohammad, Wang and Baraniuk, "Neon: Negative Extrapolation From Self-Training Improves Image Generation",
    arXiv 2510.03597: theta_neon = (1 + w) theta_r - w theta_s.

    Raises:
        BadInput: the inner trainer does not start from the last generation's model, or there is none.
    """

    trainer: Trainer[M]
    w: float = 1.0

    def __post_init__(self) -> None:
        start = getattr(self.trainer, "start", "sequential")
        if start != "sequential":
            raise BadInput(
                f"Neon reverses an update of the last generation's model, but its trainer starts from {start!r}; use 'sequential'."
            )

    @property
    def images(self) -> int | None:
        """The inner trainer's budget: the arithmetic costs nothing."""
        images: int | None = getattr(self.trainer, "images", None)
        return images

    def __call__(self, data: Pool, previous: M | None, ctx: Context) -> M:
        """Return the extrapolated model."""
        if previous is None:
            raise BadInput("Neon needs a model to extrapolate from, but generation 0 has none before it; use the inner trainer as founder.")
        before = {name: np.array(array) for name, array in self.trainer.arrays(previous).items()}
        return self.restore(extrapolated(before, self.arrays(self.trainer(data, previous, ctx)), self.w))

    def arrays(self, model: M) -> Mapping[str, np.ndarray]:
        """Return the inner trainer's arrays."""
        return self.trainer.arrays(model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> M:
        """Return the inner trainer's model."""
        return self.trainer.restore(arrays)


def extrapolated(previous: Mapping[str, np.ndarray], trained: Mapping[str, np.ndarray], w: float) -> dict[str, np.ndarray]:
    """Return (1 + w) previous - w trained, array by array, computed in float64; arrays that hold no real numbers are the previous ones.

    Raises:
        BadInput: the two have other names or shapes.
    """
    shapes = [{name: array.shape for name, array in arrays.items()} for arrays in (previous, trained)]
    if odd := sorted(name for name in {*previous, *trained} if shapes[0].get(name) != shapes[1].get(name)):
        raise BadInput(f"Neon needs two models of one shape, but {', '.join(odd[:3])} differ; keep channels and classes over generations.")
    return {name: _step(array, trained[name], w) if np.issubdtype(array.dtype, np.floating) else array for name, array in previous.items()}


def _step(previous: np.ndarray, trained: np.ndarray, w: float) -> np.ndarray:
    wide = previous.astype(np.float64)
    out: np.ndarray = (wide + w * (wide - trained)).astype(previous.dtype)
    return out
