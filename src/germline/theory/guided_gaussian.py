"""The exact law of what a guided ODE sampler draws where everything is Gaussian, and the constant that a schedule amounts to.

p(x | c) = N(mc, tc^2), p(x) = N(mu, tu^2), guidance scale s with 1 none: with the exact denoisers of both,

    dx/dsigma = sigma [ s (x - mc) / (tc^2 + sigma^2) - (s - 1)(x - mu) / (tu^2 + sigma^2) ],

which is affine in x, so the samples are Gaussian. [derived, ours] throughout; tests hold it against solvers. numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from germline.diffusion.guidance_schedule import falling

CELLS = 4_000
TAUS = (0.1, 0.3, 1.0, 3.0)  # where s_eff is printed: fine detail to the whole image, in units of the data's standard deviation
Scale = float | Callable[[float], float]


@dataclass(frozen=True)
class Law:
    """A Gaussian: its mean and standard deviation."""

    mean: float
    std: float


def spread(tc: float, tu: float, s: float) -> float:
    """Return the standard deviation of the samples: tc (tc / tu)^(s - 1) [derived, ours]."""
    _positive(tc, tu)
    return float(tc * (tc / tu) ** (s - 1))


def mean(mc: float, tc: float, mu: float, tu: float, s: float, sigma_max: float = math.inf) -> float:
    """Return the mean of the samples, the start being N(0, sigma_max^2) [derived, ours].

    Int_0^sigma_max sigma q (tc^2 / (tc^2 + sigma^2))^(s/2) ((tu^2 + sigma^2) / tu^2)^((s-1)/2) dsigma,
    q = s mc / (tc^2 + sigma^2) - (s - 1) mu / (tu^2 + sigma^2).
    """
    from scipy.integrate import quad  # slow to import

    _positive(tc, tu)

    def integrand(sigma: float) -> float:
        c2, u2 = tc**2 + sigma**2, tu**2 + sigma**2
        return float(sigma * (s * mc / c2 - (s - 1) * mu / u2) * (tc**2 / c2) ** (s / 2) * (u2 / tu**2) ** ((s - 1) / 2))

    middle = min(max(tc, tu), sigma_max)
    return float(sum(quad(integrand, low, high, epsabs=1e-10, limit=200)[0] for low, high in ((0, middle), (middle, sigma_max))))


def law(mc: float, tc: float, mu: float, tu: float, s: float) -> Law:
    """Return the law of the samples at a constant scale, from an infinite sigma_max [derived, ours]."""
    return Law(mean(mc, tc, mu, tu, s), spread(tc, tu, s))


def mean_of_equal_spreads(mc: float, mu: float, tau: float, s: float, sigma_max: float = math.inf) -> float:
    """Return the mean where tc = tu = tau: mu + s (mc - mu), short of it for a finite sigma_max [derived, ours]."""
    # From a start of mean 0 the way covered is 1 - tau / sqrt(tau^2 + sigma_max^2) of the whole.
    return (mu + s * (mc - mu)) * (1 - tau / math.hypot(tau, sigma_max))


def effective_scale(scale: Scale, tau: float, sigmas: Iterable[float]) -> float:
    """Return s_eff(tau): the constant that moves the mean as ``scale`` does where tc = tu = tau [derived, ours].

    s_eff(tau) = Int s W dsigma / Int W dsigma over the sampler's levels, W = tau sigma / (tau^2 + sigma^2)^(3/2): a large tau feels early
    guidance, a small one late guidance.
    """
    _positive(tau)
    return _average(scale, lambda sigma: -tau / np.hypot(tau, sigma), sigmas)


def effective_scale_of_spread(scale: Scale, tc: float, tu: float, sigmas: Iterable[float]) -> float:
    """Return s_var: the standard deviation of the samples is tc (tc / tu)^(s_var - 1) [derived, ours].

    The weight is sigma [1 / (tc^2 + sigma^2) - 1 / (tu^2 + sigma^2)] / ln(tu / tc), over the sampler's levels.
    """
    _positive(tc, tu)
    if tc == tu:  # the limit: 2 tau^2 sigma / (tau^2 + sigma^2)^2
        return _average(scale, lambda sigma: -(tc**2) / (tc**2 + sigma**2), sigmas)
    # Half the logarithm of (tc^2 + sigma^2) / (tu^2 + sigma^2), which is 1 at infinity.
    return _average(scale, lambda sigma: 0.5 * np.log1p((tc**2 - tu**2) / (tu**2 + sigma**2)) / math.log(tu / tc), sigmas)


def effective_scale_of_interval(s0: float, low: float, high: float, tau: float, sigma_min: float, sigma_max: float) -> float:
    """Return s_eff of a scale s0 for low < sigma <= high, else 1: 1 + (s0 - 1) C(low, high) / C(sigma_min, sigma_max) [derived, ours]."""
    _positive(tau)

    def share(a: float, b: float) -> float:
        return tau / math.hypot(tau, a) - tau / math.hypot(tau, b)

    inside = max(low, sigma_min), min(high, sigma_max)
    return 1 + (s0 - 1) * (share(*inside) if inside[0] < inside[1] else 0.0) / share(sigma_min, sigma_max)


def affine_law(out: Callable[[float], float], sigma_max: float) -> Law:
    """Return the law of what a solver makes of N(0, sigma_max^2), from two runs instead of draws: ``out`` is affine in its start."""
    return Law(out(0.0), out(sigma_max) - out(0.0))


def _average(scale: Scale, cumulative: Callable[[np.ndarray], np.ndarray], sigmas: Iterable[float]) -> float:
    """Return the mean of the scale under a weight whose integral is known, cell by cell, so that only the scale is approximated."""
    if not callable(scale):
        return scale
    grid = falling(sigmas)
    finite = [sigma for sigma in grid if math.isfinite(sigma)]
    if len(grid) == 1 or not finite:
        return scale(grid[0])
    edges = np.geomspace(finite[-1], finite[0], CELLS + 1) if len(finite) > 1 else np.array(finite)
    at = np.sqrt(edges[1:] * edges[:-1])
    if len(finite) < len(grid):  # from the last finite level to infinity guidance is what it is at that level
        edges, at = np.append(edges, np.inf), np.append(at, finite[0])
    weight = np.diff(cumulative(edges))
    return float(np.sum(weight * [scale(float(sigma)) for sigma in at]) / np.sum(weight))


def _positive(*stds: float) -> None:
    if not all(std > 0 for std in stds):
        raise ValueError(f"Standard deviations must be above 0, but got {', '.join(f'{std:g}' for std in stds)}.")
