"""A trait under selection, in closed form: a chain of generations likened to breeding.

z = A + E, phenotype, breeding value, environment; V_P = V_A + V_E, heritability h2 = V_A / V_P. Standard units: (z - mean) / std.

Source: Yoon et al., arXiv 2407.17493, liken guidance to selection by truncation and ReDiFine to mutation; their formulas are unknown to
us. Those here are [textbook] (Falconer and Mackay, "Introduction to Quantitative Genetics"; Bulmer 1971) or ours, as each is marked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri


@dataclass(frozen=True)
class Selected:
    """A Gaussian after truncation, in units of what it was: its mean d and the factor on its variance, 1 - kappa."""

    mean: float
    variance: float

    @property
    def kappa(self) -> float:
        """The share of variance that selection took."""
        return 1 - self.variance


def response(h2: float, differential: float) -> float:
    """Return R = h2 S, the change of the mean in the next generation; S = mean(selected) - mean(before) [textbook]."""
    return h2 * differential


def top_share(q: float) -> Selected:
    """Return what keeping the top share ``q`` of a Gaussian leaves: mean i (the intensity), variance 1 - i (i - x) [textbook].

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 < q < 1:
        raise ValueError(f"top_share keeps a share between 0 and 1, but got {q}.")
    x = float(ndtri(1 - q))
    i = density(x) / q
    return Selected(i, 1 - i * (i - x))  # kappa = i (i - x)


def between(a: float, b: float) -> Selected:
    """Return what keeping a < z < b of a Gaussian leaves, in standard units [textbook].

    Z = Phi(b) - Phi(a), d = (phi(a) - phi(b)) / Z, variance 1 + (a phi(a) - b phi(b)) / Z - d^2.

    Raises:
        ValueError: a is not below b.
    """
    if not a < b:
        raise ValueError(f"between needs a < b, but got {a} and {b}.")
    # Both from the nearer tail: far out, Phi(b) - Phi(a) is a difference of two numbers that round to 1.
    kept = float(ndtr(-a) - ndtr(-b)) if a > 0 else float(ndtr(b) - ndtr(a))
    d = (density(a) - density(b)) / kept
    edges = sum(sign * edge * density(edge) for sign, edge in ((1, a), (-1, b)) if math.isfinite(edge))
    return Selected(d, 1 + edges / kept - d**2)


def density(x: float) -> float:
    """Return phi(x)."""
    return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def copied(v_a: float, h2: float, kappa: float, v_m: float = 0.0) -> float:
    """Return V_A' = (1 - kappa h2) V_A + V_M, where offspring copy one parent (Bulmer's effect and mutation) [textbook]."""
    return (1 - kappa * h2) * v_a + v_m


def infinitesimal(v_a: float, v_a0: float, h2: float, kappa: float, v_m: float = 0.0) -> float:
    """Return V_A' = (1/2)(1 - kappa h2) V_A + (1/2) V_A0 (+ V_M), of sexual offspring in the infinitesimal model [textbook]."""
    return 0.5 * (1 - kappa * h2) * v_a + 0.5 * v_a0 + v_m


def mutation_balance(v_m: float, kappa: float, h2: float) -> float:
    """Return V_M / (kappa h2), where mutation makes what selection takes, offspring copying and h2 held [textbook]."""
    return v_m / (kappa * h2)


def drifted(variance: float, n: int) -> float:
    """Return E V' = (1 - 1/n) V, the variance (divisor n) among n copies drawn with repeats [textbook]."""
    return (1 - 1 / n) * variance


def drift_of_mean(variance: float, n: int) -> float:
    """Return Var(mean') - Var(mean) = V / n [textbook]."""
    return variance / n


def stabilised(mean: float, variance: float, optimum: float, width: float) -> tuple[float, float]:
    """Return mean and variance of a Gaussian under the fitness exp(-(z - optimum)^2 / (2 width^2)) [textbook].

    V' = V w^2 / (V + w^2), m' = (m w^2 + optimum V) / (V + w^2).
    """
    total = variance + width**2
    return (mean * width**2 + optimum * variance) / total, variance * width**2 / total


def guided_as_fitness(mc: float, tc: float, mu: float, tu: float, s: float) -> tuple[float, float]:
    """Return mean and standard deviation of the law that guidance aims at [derived, ours].

    p(z|c) w(z), fitness w = (p(z|c) / p(z))^(s-1): s - 1 is selection strength.
    Precision P = s / tc^2 - (s - 1) / tu^2. **The ODE sampler draws another law**: see guided_gaussian.

    Raises:
        ValueError: P is not above 0, so there is no such law.
    """
    precision = s / tc**2 - (s - 1) / tu**2
    if precision <= 0:
        raise ValueError(f"Selection this strong has no law: the precision s/tc^2 - (s-1)/tu^2 is {precision:.3g}; take a lower s.")
    return (s * mc / tc**2 - (s - 1) * mu / tu**2) / precision, precision**-0.5


@dataclass(frozen=True)
class Trait:
    """Moments of breeding values, one number a trait. Kurtosis is m4 / m2^2: 3 for a Gaussian.

    ``survivors`` is the kurtosis of the parents that selection left, before any was copied.
    """

    mean: Float[np.ndarray, " traits"]
    variance: Float[np.ndarray, " traits"]
    kurtosis: Float[np.ndarray, " traits"]
    survivors: Float[np.ndarray, " traits"]


@dataclass(frozen=True)
class Breeding:
    """``traits`` independent traits of ``copies`` individuals under truncation, each trait selected by itself [ours].

    Per trait, since truncation of many traits together leaves nobody. In every generation z = A + N(0, v_e), those with
    low < (z - mean) / std < high are the parents, ``copies`` of their A are drawn with repeats, and N(0, v_m) is added.
    """

    v_a: float = 1.0
    v_e: float = 0.5
    v_m: float = 0.0
    low: float = -2.0
    high: float = 2.0
    traits: int = 64
    copies: int = 2_000

    def __call__(self, generations: int, rng: np.random.Generator) -> list[Trait]:
        """Return the moments after each generation, from a Gaussian start.

        Raises:
            ValueError: selection left nobody in some trait.
        """
        a = rng.normal(0, math.sqrt(self.v_a), (self.traits, self.copies))
        out = []
        for _ in range(generations):
            parents = [self._parents(row, rng) for row in a]
            drawn = np.stack([rng.choice(row, self.copies) for row in parents])
            a = drawn + rng.normal(0, math.sqrt(self.v_m), drawn.shape)
            mean, variance, kurtosis = np.stack([moments(row) for row in a], axis=1)
            out.append(Trait(mean, variance, kurtosis, np.array([moments(row)[2] for row in parents])))
        return out

    def _parents(self, a: Float[np.ndarray, " n"], rng: np.random.Generator) -> Float[np.ndarray, " m"]:
        z = a + rng.normal(0, math.sqrt(self.v_e), a.shape)
        unit = (z - z.mean()) / z.std()
        parents: np.ndarray = a[(self.low < unit) & (unit < self.high)]
        if not len(parents):
            raise ValueError(f"Selection between {self.low:g} and {self.high:g} left nobody of {len(a)}; widen it or take more copies.")
        return parents


def moments(x: Float[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Return mean, variance (divisor n) and kurtosis m4 / m2^2, which is nan where nothing varies."""
    centred = x - x.mean()
    variance = float((centred**2).mean())
    return float(x.mean()), variance, float((centred**4).mean()) / variance**2 if variance else math.nan
