"""Numerical methods from noise to image. Each is a function of a denoiser at a fixed condition, a start, and the noise levels.

All solve dx/dsigma = (x - D(x; sigma)) / sigma (arXiv 2206.00364, Eq. 3 with sigma(t) = t), except ``ancestral``, which adds noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Sigmas = Sequence[float] | Float[Tensor, " levels"]
Noise = Callable[[int], Float[Tensor, "b c h w"]]


@runtime_checkable
class Denoise(Protocol):
    """A denoiser at one noise level for the whole batch; the condition is already given."""

    def __call__(self, x_t: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
        """Return x0_hat."""
        ...


def euler(denoise: Denoise, x_t: Float[Tensor, "b c h w"], sigmas: Sigmas) -> Float[Tensor, "b c h w"]:
    """Return the image at the last level by Euler steps: order 1, one evaluation a step.

    Source: arXiv 2206.00364, Algorithm 1 without lines 6-8.
    """
    for _, sigma, following in _steps(sigmas):
        slope = (x_t - denoise(x_t, sigma)) / sigma
        x_t = x_t + (following - sigma) * slope
    return x_t


def ddim(denoise: Denoise, x_t: Float[Tensor, "b c h w"], sigmas: Sigmas) -> Float[Tensor, "b c h w"]:
    """Return the image at the last level: x0_hat plus the same noise at the next level. Equal to Euler up to rounding.

    Source: Song et al., "Denoising Diffusion Implicit Models", arXiv 2010.02502, Eq. 12 with eta = 0, divided by sqrt(alpha_bar).
    """
    for _, sigma, following in _steps(sigmas):
        x0_hat = denoise(x_t, sigma)
        eps_hat = (x_t - x0_hat) / sigma
        x_t = x0_hat + following * eps_hat
    return x_t


def heun(denoise: Denoise, x_t: Float[Tensor, "b c h w"], sigmas: Sigmas) -> Float[Tensor, "b c h w"]:
    """Return the image at the last level by Heun steps: order 2, two evaluations a step, one in a step to 0.

    Source: arXiv 2206.00364, Algorithm 1.
    """
    for _, sigma, following in _steps(sigmas):
        slope = (x_t - denoise(x_t, sigma)) / sigma
        ahead = x_t + (following - sigma) * slope
        if following > 0:
            slope = (slope + (ahead - denoise(ahead, following)) / following) / 2
            ahead = x_t + (following - sigma) * slope
        x_t = ahead
    return x_t


def dpmpp_2m(denoise: Denoise, x_t: Float[Tensor, "b c h w"], sigmas: Sigmas) -> Float[Tensor, "b c h w"]:
    """Return the image at the last level by DPM-Solver++(2M): order 2, one evaluation a step; first step and step to 0 of order 1.

    Exact in the linear part; x0_hat is extrapolated over h = log(sigma / next sigma) from the last two evaluations.

    Source: Lu et al., "DPM-Solver++", arXiv 2211.01095, Algorithm 2; its alpha_t is 1 here, since x_t is not scaled down.
    """
    last: tuple[Tensor, float] | None = None
    for _, sigma, following in _steps(sigmas):
        x0_hat = denoise(x_t, sigma)
        step = math.log(sigma / following) if following > 0 else math.inf
        ahead = x0_hat
        if last is not None and following > 0:
            before, last_step = last
            ahead = x0_hat + step / (2 * last_step) * (x0_hat - before)
        x_t = (following / sigma) * x_t + (1 - following / sigma) * ahead
        last = x0_hat, step
    return x_t


def ancestral(denoise: Denoise, x_t: Float[Tensor, "b c h w"], sigmas: Sigmas, noise: Noise) -> Float[Tensor, "b c h w"]:
    """Return a draw at the last level: each step draws from q(x_next | x_t, x0 = x0_hat). ``noise(step)`` is standard normal.

    Mean x0_hat + r^2 (x_t - x0_hat) and variance sigma_next^2 (1 - r^2), where r = sigma_next / sigma: the smaller of DDPM's two.

    Source: Ho et al., arXiv 2006.11239, Eq. 6-7, divided by sqrt(alpha_bar).
    """
    for step, sigma, following in _steps(sigmas):
        x0_hat = denoise(x_t, sigma)
        ratio = (following / sigma) ** 2
        x_t = x0_hat + ratio * (x_t - x0_hat)
        if following > 0:
            x_t = x_t + following * math.sqrt(1 - ratio) * noise(step)
    return x_t


def clipped(denoise: Denoise, bound: float = 1.0) -> Denoise:
    """Return the denoiser with x0_hat clipped to [-bound, bound], the range of images."""

    def inner(x_t: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
        return denoise(x_t, sigma).clamp(-bound, bound)

    return inner


Ode = Callable[[Denoise, Tensor, Sigmas], Tensor]
ODE: Mapping[str, Ode] = MappingProxyType({"euler": euler, "ddim": ddim, "heun": heun, "dpmpp_2m": dpmpp_2m})
SDE: Mapping[str, Callable[[Denoise, Tensor, Sigmas, Noise], Tensor]] = MappingProxyType({"ancestral": ancestral})
NAMES = (*ODE, *SDE)


def solve(name: str, denoise: Denoise, x_t: Float[Tensor, "b c h w"], sigmas: Sigmas, noise: Noise) -> Float[Tensor, "b c h w"]:
    """Return the image at the last level by the named solver; ``noise`` is asked for by the stochastic ones only.

    Raises:
        ValueError: no solver has this name.
    """
    if name in SDE:
        return SDE[name](denoise, x_t, sigmas, noise)
    if name in ODE:
        return ODE[name](denoise, x_t, sigmas)
    raise ValueError(f"There is no solver {name!r}; there are {', '.join(NAMES)}.")


def evaluations(name: str, steps: int) -> int:
    """Return the denoiser's evaluations a row in ``steps`` steps of which the last goes to 0; guidance doubles them."""
    if name not in NAMES:
        raise ValueError(f"There is no solver {name!r}; there are {', '.join(NAMES)}.")
    return 2 * steps - 1 if name == "heun" else steps


def evaluated(name: str, sigmas: Sigmas) -> list[float]:
    """Return the noise level of each of the denoiser's evaluations, in order; ``evaluations`` counts them."""
    steps = list(_steps(sigmas))
    evaluations(name, len(steps))
    if name != "heun":
        return [sigma for _, sigma, _ in steps]
    return [level for _, sigma, following in steps for level in ((sigma, following) if following > 0 else (sigma,))]


def _steps(sigmas: Sigmas) -> Iterator[tuple[int, float, float]]:
    """Yield (step, sigma, next sigma).

    Raises:
        ValueError: the levels do not fall.
    """
    for step, (sigma, following) in enumerate(pairwise(float(sigma) for sigma in sigmas)):
        if not sigma > following >= 0:
            raise ValueError(f"Noise levels must fall to 0 or above, but step {step} goes from {sigma} to {following}.")
        yield step, sigma, following
