"""Noise levels, largest first. sigma is the only time variable: x_t = x0 + sigma * eps, and alpha_bar = 1 / (1 + sigma^2)."""

import torch
from jaxtyping import Float64
from torch import Tensor

DDPM_STEPS = 1_000


def karras(steps: int, sigma_max: float = 40.0, sigma_min: float = 0.02, rho: float = 7.0) -> Float64[Tensor, " levels"]:
    """Return ``steps`` noise levels from ``sigma_max`` to ``sigma_min``, evenly spaced in sigma^(1/rho), then 0.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364, Eq. 5.

    Raises:
        ValueError: fewer than one step, or levels that do not satisfy 0 < sigma_min < sigma_max.
    """
    _at_least_one(steps)
    if not 0 < sigma_min < sigma_max:
        raise ValueError(f"karras needs 0 < sigma_min < sigma_max, but got sigma_min={sigma_min} and sigma_max={sigma_max}.")
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return _then_zero((high + ramp * (low - high)) ** rho)


def ddpm_levels(beta_first: float = 1e-4, beta_last: float = 0.02) -> Float64[Tensor, " 1000"]:
    """Return the 1,000 noise levels of DDPM's linear betas, **smallest first**: 0.01 to 157.

    alpha_bar_t = prod_{s<=t} (1 - beta_s), so sigma_t = sqrt(1 / alpha_bar_t - 1).

    Source: Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, Section 4.
    """
    beta = torch.linspace(beta_first, beta_last, DDPM_STEPS, dtype=torch.float64)
    return sigma_of(torch.cumprod(1 - beta, dim=0))


def ddpm(steps: int) -> Float64[Tensor, " levels"]:
    """Return ``steps`` of DDPM's levels, evenly spaced in its step number and starting at the noisiest, then 0.

    Starting anywhere else leaves a gap between pure noise and the first level that training never showed: the "trailing"
    choice of Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", arXiv 2305.08891, Table 2.

    Raises:
        ValueError: fewer than one step, or more than 1,000.
    """
    _at_least_one(steps)
    if steps > DDPM_STEPS:
        raise ValueError(f"ddpm has {DDPM_STEPS} noise levels, but {steps} steps were asked for; ask for at most {DDPM_STEPS}.")
    number = torch.round(torch.arange(steps, 0, -1, dtype=torch.float64) * (DDPM_STEPS / steps)).long() - 1
    return _then_zero(ddpm_levels()[number])


def alpha_bar_of(sigma: Tensor) -> Tensor:
    """Return alpha_bar = 1 / (1 + sigma^2), the ``alphas_cumprod`` of other libraries."""
    return 1 / (1 + sigma**2)


def sigma_of(alpha_bar: Tensor) -> Tensor:
    """Return sigma = sqrt(1 / alpha_bar - 1)."""
    return torch.sqrt((1 - alpha_bar) / alpha_bar)


def _at_least_one(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"A schedule needs at least one step, but {steps} were asked for.")


def _then_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])
