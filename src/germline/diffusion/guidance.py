"""Classifier-free guidance, as a wrapper of a denoiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from germline.diffusion.denoiser import Denoiser


@dataclass(frozen=True, eq=False)
class Guided:
    """x0_hat = uncond + w (cond - uncond): **w = 1 means no guidance** and costs one evaluation instead of two.

    ``scale`` is w, or a function of sigma that returns it; ``null`` is the condition that stands for none. The same formula on
    eps_hat or on grad_log_p gives the same result, since all three are affine in one another.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598, Eq. 6, whose w is ours minus 1.
    """

    denoiser: Denoiser
    scale: float | Callable[[float], float]
    null: int

    def __call__(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"], condition: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return the guided x0_hat."""
        scale = self._scale(sigma)
        if bool((scale == 0).all()):
            return self.denoiser(x_t, sigma, torch.full_like(condition, self.null))
        conditional = self.denoiser(x_t, sigma, condition)
        if bool((scale == 1).all()):
            return conditional
        unconditional = self.denoiser(x_t, sigma, torch.full_like(condition, self.null))
        return unconditional + scale[:, None, None, None] * (conditional - unconditional)

    def _scale(self, sigma: Tensor) -> Tensor:
        if not callable(self.scale):
            return torch.full_like(sigma, self.scale)
        levels, row = torch.unique(sigma, return_inverse=True)
        return sigma.new_tensor([self.scale(float(level)) for level in levels])[row]


def within(low: float, high: float, scale: float) -> Callable[[float], float]:
    """Return a guidance scale that is ``scale`` for low < sigma <= high, and 1 (none) outside.

    Source: Kynkäänniemi et al., "Applying Guidance in a Limited Interval ...", arXiv 2404.07724, Eq. 5.
    """
    return lambda sigma: scale if low < sigma <= high else 1.0
