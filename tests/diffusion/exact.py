"""A world in which everything is known: x0 ~ N(mean, deviation^2), independently in every value."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Gaussian:
    mean: float = 0.3
    deviation: float = 0.5

    def denoise(self, x_t, sigma):
        """E[x0 | x_t]."""
        total = self.deviation**2 + sigma**2
        return (self.deviation**2 * x_t + sigma**2 * self.mean) / total

    def flow(self, x_t, sigma, following):
        """The exact solution of dx/dsigma = (x - D) / sigma: deviations from the mean shrink with the marginal's."""
        ratio = ((self.deviation**2 + following**2) / (self.deviation**2 + sigma**2)) ** 0.5
        return self.mean + ratio * (x_t - self.mean)


@dataclass(frozen=True)
class Classes:
    """The exact class-conditional denoiser of N(mean_c, deviation_c^2); a class of None is whatever ``null`` says."""

    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def __call__(self, x_t, sigma, condition):
        wide = lambda v: torch.as_tensor(v, dtype=x_t.dtype)[condition][:, None, None, None]
        mean, variance, s2 = wide(self.means), wide(self.deviations) ** 2, sigma[:, None, None, None] ** 2
        return (variance * x_t + s2 * mean) / (variance + s2)
