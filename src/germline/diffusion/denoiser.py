"""What a network is asked to predict, and how its output becomes x0_hat. Three parametrisations over one sigma.

Each network is asked for something of about unit size, so the loss of all three is the plain squared error of its output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from germline.diffusion.precision import autocast
from germline.diffusion.schedule import ddpm_levels


@runtime_checkable
class Denoiser(Protocol):
    """D(x_t; sigma, condition), an estimate of E[x0 | x_t, condition]."""

    def __call__(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"], condition: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return x0_hat."""
        ...


@runtime_checkable
class Network(Protocol):
    """The raw network F: it sees a scaled image, an embedded noise level of about -2 to 2, and a class number."""

    def __call__(
        self, image: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Int[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return the raw output."""
        ...


@runtime_checkable
class Objective(Protocol):
    """A parametrisation: x0_hat = a(sigma) x_t + b(sigma) F(c(sigma) x_t; e(sigma))."""

    def training_sigma(self, uniform: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return the training noise levels at these quantiles in (0, 1): the caller owns the random numbers."""
        ...

    def input(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return what the network sees."""
        ...

    def embed(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return the noise level as the network sees it."""
        ...

    def target(self, x0: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return what the network's output should be."""
        ...

    def x0_hat(
        self, output: Float[Tensor, "b c h w"], x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return the denoised image of an output."""
        ...


@dataclass(frozen=True)
class Flow:
    """Predicts eps - x0, the velocity of the straight path (1 - s) x0 + s eps, where s = sigma / (1 + sigma).

    log sigma ~ N(0, 1), so s is logit-normal.

    Source: Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747, Eq. 23; Esser et al., arXiv 2403.03206, Eq. 19.
    """

    def training_sigma(self, uniform: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return exp(z), z standard normal."""
        return torch.exp(_normal(uniform))

    def input(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return x_t / (1 + sigma) = (1 - s) x0 + s eps."""
        return x_t / (1 + _wide(sigma))

    def embed(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return 4 (s - 1/2)."""
        return 4 * (sigma / (1 + sigma) - 0.5)

    def target(self, x0: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return eps - x0."""
        return eps - x0

    def x0_hat(
        self, output: Float[Tensor, "b c h w"], x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return x_t / (1 + sigma) - s F."""
        return (x_t - _wide(sigma) * output) / (1 + _wide(sigma))


@dataclass(frozen=True)
class EDM:
    """Predicts a mix of x0 and noise of unit variance at every noise level; log sigma ~ N(mean, deviation^2).

    Source: Karras et al., arXiv 2206.00364, Table 1 and Eq. 7-8. The paper's weight lambda(sigma) on the error of x0_hat is
    1 / c_out(sigma)^2, which is the plain squared error of the output F.
    """

    sigma_data: float = 0.5
    mean: float = -1.2
    deviation: float = 1.2

    def training_sigma(self, uniform: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return exp(mean + deviation z), z standard normal."""
        return torch.exp(self.mean + self.deviation * _normal(uniform))

    def input(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return c_in x_t, c_in = 1 / sqrt(sigma^2 + sigma_data^2)."""
        return x_t / torch.sqrt(_wide(sigma) ** 2 + self.sigma_data**2)

    def embed(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return c_noise = log(sigma) / 4."""
        return torch.log(sigma) / 4

    def target(self, x0: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return (x0 - c_skip x_t) / c_out."""
        skip, out = self._scales(_wide(sigma))
        return (x0 - skip * (x0 + _wide(sigma) * eps)) / out

    def x0_hat(
        self, output: Float[Tensor, "b c h w"], x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return c_skip x_t + c_out F."""
        skip, out = self._scales(_wide(sigma))
        return skip * x_t + out * output

    def _scales(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        total = sigma**2 + self.sigma_data**2
        return self.sigma_data**2 / total, sigma * self.sigma_data / torch.sqrt(total)


@dataclass(frozen=True)
class Eps:
    """Predicts the noise; the training levels are drawn evenly from the 1,000 of DDPM's linear betas.

    Source: Ho et al., arXiv 2006.11239, Eq. 14 (L_simple).
    """

    def training_sigma(self, uniform: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return the levels numbered floor(1000 u)."""
        levels = ddpm_levels().to(uniform.device)
        return levels[(uniform * len(levels)).long().clamp(0, len(levels) - 1)].to(uniform.dtype)

    def input(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return x_t / sqrt(1 + sigma^2) = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps."""
        return x_t / torch.sqrt(1 + _wide(sigma) ** 2)

    def embed(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return log(sigma) / 4."""
        return torch.log(sigma) / 4

    def target(self, x0: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return eps."""
        return eps

    def x0_hat(
        self, output: Float[Tensor, "b c h w"], x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return x_t - sigma F."""
        return x_t - _wide(sigma) * output


@dataclass(frozen=True, eq=False)
class Denoising:
    """A network and its objective: a ``Denoiser``. Only the network computes in ``precision``; the scales are float32."""

    network: Network
    objective: Objective
    precision: str = "fp32"

    def __call__(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"], condition: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return x0_hat."""
        return self.objective.x0_hat(self.output(x_t, sigma, condition), x_t, sigma)

    def output(self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"], condition: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return the network's raw output as float32."""
        with autocast(self.precision, x_t.device):
            raw = self.network(self.objective.input(x_t, sigma), self.objective.embed(sigma), condition)
        return raw.to(x_t.dtype)

    def loss(
        self, x0: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"], condition: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """Return each row's loss: the mean over its values of the squared error of the network's output."""
        output = self.output(x0 + _wide(sigma) * eps, sigma, condition)
        error: Tensor = output - self.objective.target(x0, eps, sigma)
        return error.square().flatten(1).mean(1)


def mean_one(log_weight: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return weights exp(log_weight), scaled to a mean of 1 over the rows that are not left out (-inf, weight 0).

    Equal log-weights give exactly 1. Scale once per training set, never per batch: per batch, every batch would have the same say.

    Raises:
        ValueError: a log-weight is NaN or +inf, or all are -inf.
    """
    if torch.isnan(log_weight).any() or (log_weight == torch.inf).any() or not torch.isfinite(log_weight).any():
        raise ValueError("Log-weights must be finite or -inf, and at least one finite; look at what the weighters return.")
    weight = torch.exp(log_weight - log_weight.max())
    return weight / weight[torch.isfinite(log_weight)].mean()


def weighted_mean(loss: Float[Tensor, " b"], weight: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Return sum_i w_i loss_i / b; rows of weight 0 add nothing, whatever their loss."""
    return torch.where(weight > 0, weight * loss, 0).sum() / len(loss)


def _normal(uniform: Tensor) -> Tensor:
    z: Tensor = torch.special.ndtri(uniform.clamp(1e-7, 1 - 1e-7))
    return z


def _wide(sigma: Tensor) -> Tensor:
    return sigma[:, None, None, None]
