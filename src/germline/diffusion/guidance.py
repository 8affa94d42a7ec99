"""Guidance, as wrappers of denoisers: away from no condition (classifier-free), or away from a worse model (autoguidance)."""

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
        scale = per_row(self.scale, sigma)
        if bool((scale == 0).all()):
            return self.denoiser(x_t, sigma, torch.full_like(condition, self.null))
        conditional = self.denoiser(x_t, sigma, condition)
        if bool((scale == 1).all()):
            return conditional
        unconditional = self.denoiser(x_t, sigma, torch.full_like(condition, self.null))
        return unconditional + scale[:, None, None, None] * (conditional - unconditional)


@dataclass(frozen=True, eq=False)
class Extrapolated:
    """x0_hat = bad + w (good - bad): **w = 1 means none**, the good model alone, for one evaluation instead of two.

    ``scale`` is w, or a function of sigma that returns it. Both see the same x_t and the same condition, and either may be ``Guided``.
    The same formula on grad_log_p gives the same result: (1 + omega) s_good - omega s_bad with omega = w - 1.

    Source: Karras et al., "Guiding a Diffusion Model with a Bad Version of Itself" (autoguidance), arXiv 2406.02507, with the bad model
    D_0 and the good one D_1; Alemohammad et al., "Self-Improving Diffusion Models with Synthetic Data" (SIMS), arXiv 2408.16333, whose
    omega is ours minus 1 and whose bad model is the good one fine-tuned on its own samples.
    """

    good: Denoiser
    bad: Denoiser
    scale: float | Callable[[float], float]

    def __call__(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"], condition: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return the extrapolated x0_hat."""
        scale = per_row(self.scale, sigma)
        good = self.good(x_t, sigma, condition)
        if bool((scale == 1).all()):
            return good
        # From the good side, so that equal models, and w = 1 in one row of several, give its very bits.
        return good + (scale[:, None, None, None] - 1) * (good - self.bad(x_t, sigma, condition))


def per_row(scale: float | Callable[[float], float], sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Return each row's guidance scale at its noise level."""
    if not callable(scale):
        return torch.full_like(sigma, scale)
    levels, row = torch.unique(sigma, return_inverse=True)
    return sigma.new_tensor([scale(float(level)) for level in levels])[row]
