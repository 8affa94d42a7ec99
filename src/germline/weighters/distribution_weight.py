"""Rows that lie far from the base model's samples count less."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Extractor

BLOCK = 64


@dataclass(frozen=True)
class DistributionWeight:
    """Log-weights min(0, (beta - d) / sigma2), d being a row's mean distance to all samples of generation 0, before selection.

    "mse" is the squared difference per feature, in closed form; "l2" the length of the difference. beta means nothing for another
    distance, extractor or size of image, so where it is not given both are calibrated on generation 0's own distances.

    d is the distance to the mean sample plus a constant, so images of much contrast or colour lose weight, and grey ones gain.

    Source: Zhang et al., arXiv 2502.09963, Eq. 5: beta = 35 and sigma2 = 2 with the VAE of Stable Diffusion 1.4 as extractor. It names
    neither norm nor scale of the latents: "mse" of unscaled ones is our reading, as is all of the calibration.

    Attributes:
        extractor: what distances are taken in: the VAE's latents in the paper.
        beta: distance up to which a row counts whole.
        sigma2: beyond it, the distance in which the weight falls by e.
        distance: "mse" per feature, or "l2".
        keep: where beta is not given: share of generation 0's samples that are to count whole.
        tail: where sigma2 is not given: the quantile of their distances that is to have the weight 1/2.

    Raises:
        BadInput: a field out of range.
    """

    extractor: Extractor
    beta: float | None = None
    sigma2: float | None = None
    distance: Literal["mse", "l2"] = "mse"
    keep: float = 0.9
    tail: float = 0.99

    def __post_init__(self) -> None:
        if not (0 < self.keep < self.tail <= 1) or (self.sigma2 is not None and not self.sigma2 > 0):
            raise BadInput(
                f"DistributionWeight needs 0 < keep < tail <= 1 and sigma2 > 0, but got {self.keep}, {self.tail}, {self.sigma2}."
            )

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one log-weight a row, 0 or less."""
        beta, sigma2 = self.limits(ctx)
        out = log_weights(self.distances(pool, ctx), beta, sigma2)
        if len(out) > 1 and (out.max() == -np.inf or effective(out) < 0.05 * len(out)):
            warnings.warn(
                f"DistributionWeight: {effective(out):.1f} effective rows of {len(out)} at beta = {beta:g}, sigma2 = {sigma2:g}; raise"
                " them, or leave beta out to calibrate it.",
                stacklevel=2,
            )
        elif self.beta is not None and len(out) > 1 and not out.any():
            warnings.warn(
                f"DistributionWeight: all {len(out)} rows lie within beta = {beta:g} and count whole; beta belongs to its distance, VAE and"
                " size of image: germline calibrate shows them, and without beta it is calibrated.",
                stacklevel=2,
            )
        return out

    def limits(self, ctx: Context) -> tuple[float, float]:
        """Return (beta, sigma2), calibrated on generation 0 where they are not given."""
        if self.beta is not None and self.sigma2 is not None:
            return self.beta, self.sigma2
        return calibrated(self.distances(ctx.samples(0), ctx), self.keep, self.tail, beta=self.beta, sigma2=self.sigma2)

    def distances(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return each row's mean distance to the samples of generation 0, those themselves included."""
        rows, base = ctx.features(self.extractor, pool), ctx.samples(0)
        if self.distance == "l2":
            return mean_lengths(rows, ctx.features(self.extractor, base))

        def made() -> Arrays:
            mean, variance = moments(ctx.features(self.extractor, base))
            return {"mean": mean, "variance": variance}

        kept = ctx.once(self.extractor, made, f"moments of {base.sources[0].digest}")
        return mean_squares(rows, kept["mean"], kept["variance"])


def log_weights(distances: Float64[np.ndarray, " n"], beta: float, sigma2: float) -> Float64[np.ndarray, " n"]:
    """Return min(0, (beta - d) / sigma2): the logarithm of arXiv 2502.09963, Eq. 5."""
    found: np.ndarray = np.minimum(0.0, (beta - np.asarray(distances, np.float64)) / sigma2)
    return found


def moments(reference: Float[np.ndarray, "r f"]) -> tuple[Float64[np.ndarray, " f"], Float64[np.ndarray, " f"]]:
    """Return mean and variance (divided by r) of every feature, in float64 and in blocks: the references may be many."""
    mean = reference.mean(axis=0, dtype=np.float64)
    squares = np.zeros_like(mean)
    for start in range(0, len(reference), BLOCK):
        squares += np.square(reference[start : start + BLOCK] - mean).sum(axis=0)
    return mean, squares / len(reference)


def mean_squares(
    rows: Float[np.ndarray, "n f"], mean: Float64[np.ndarray, " f"], variance: Float64[np.ndarray, " f"]
) -> Float64[np.ndarray, " n"]:
    """Return mean_r ||z - z_r||^2 / f = ||z - mean||^2 / f + the mean of the variances, of each row z."""
    out = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        out[start : start + BLOCK] = np.square(rows[start : start + BLOCK] - mean).mean(axis=1)
    return out + float(variance.mean())


def mean_lengths(rows: Float[np.ndarray, "n f"], reference: Float[np.ndarray, "r f"]) -> Float64[np.ndarray, " n"]:
    """Return mean_r ||z - z_r|| of each row z: there is no closed form, so every pair is looked at."""
    from scipy.spatial.distance import cdist  # slow to import

    out = np.zeros(len(rows))
    for start in range(0, len(rows), BLOCK):
        for first in range(0, len(reference), BLOCK):
            pair = cdist(rows[start : start + BLOCK].astype(np.float64), reference[first : first + BLOCK].astype(np.float64))
            out[start : start + BLOCK] += pair.sum(axis=1)
    return out / len(reference)


def calibrated(
    distances: Float64[np.ndarray, " n"],
    keep: float = 0.9,
    tail: float = 0.99,
    *,
    beta: float | None = None,
    sigma2: float | None = None,
) -> tuple[float, float]:
    """Return (beta, sigma2): a share ``keep`` of the distances is at most beta, and at the quantile ``tail`` the weight is 1/2.

    Raises:
        BadInput: the distances do not vary beyond beta, so sigma2 cannot be told.
    """
    beta = float(np.quantile(distances, keep, method="inverted_cdf")) if beta is None else beta
    if sigma2 is None:
        sigma2 = (float(np.quantile(distances, tail, method="inverted_cdf")) - beta) / math.log(2)
        if sigma2 <= 0:
            raise BadInput(
                f"DistributionWeight: no distance of {len(distances)} lies between beta ({beta:g}) and the quantile {tail}, so sigma2"
                " cannot be told; sample more rows, or give --beta and --sigma2."
            )
    return beta, sigma2


def effective(log_weight: Float64[np.ndarray, " n"]) -> float:
    """Return the effective number of rows, (sum w)^2 / sum w^2."""
    weight = np.exp(log_weight - log_weight.max()) if log_weight.max() > -np.inf else np.zeros(len(log_weight))
    return float(weight.sum() ** 2 / max(np.square(weight).sum(), np.finfo(float).tiny))
