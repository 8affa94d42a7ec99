"""The pattern that a model leaves in all of its images: what remains of their mean when each is taken less its denoised self."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, UInt8
from scipy.ndimage import uniform_filter
from scipy.special import stdtrit

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.neighbours import slices
from germline.core.pool import REAL, Pool
from germline.core.seeds import rng

ELEMENTS = 1 << 21  # values filtered at once


@dataclass(frozen=True)
class Fingerprint:
    """``fingerprint``: the size of the mean residual of S_g less that of held-out rows, in grey levels (0 to 255), noise taken off.

    The residual of an image is itself minus its denoised self; taking off what held-out rows have leaves out what real images share
    (a border, an outline in the middle). Both sets are cut into ``blocks`` parts of equal size and mix of classes; with d_b the
    difference of the two mean residuals of part b, <,> the mean product over pixels, and K parts, the squared size is Q, the mean of
    <d_a, d_b> over a != b: 0 on average where there is no pattern, however few images there are. ``fingerprint`` is sqrt(max(Q, 0)), its
    interval Q's by jackknife over parts; a pattern is found where the interval does not hold 0. ``fingerprint_ratio`` is the squared
    size of the mean difference over what sampling noise alone gives it: 1 without a pattern, and growing with the number of images where
    there is one; not there where nothing varies.

    Whatever lies at the same place in all images counts, an outline too, where the mix of classes is another than among real images:
    look at the pattern, on the report's page.

    Source: mean of denoising residuals, arXiv 1812.11842 (Marra et al.), there with another denoiser; difference, estimate and intervals
    are ours.

    Raises:
        BadInput: fewer than 3 samples, held-out or real rows.
    """

    blocks: int = 20

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return both numbers of the samples and, for reference, of the real rows."""
        data, ctx = evidence.data, evidence.ctx
        sizes = (len(evidence.samples), len(data.held_out), len(data.real))
        parts = min(self.blocks, *sizes)
        if parts < 3:
            raise BadInput(f"Fingerprint needs 3 parts of a row or more on each side, but has {parts}; give more rows.")

        def residuals(pool: Pool, of: str) -> np.ndarray:
            return ctx.once(self, lambda: {"means": means(pool, parts)}, of=f"{of} {parts} {data.digest}")["means"]

        held_out, out = residuals(data.held_out, "held_out"), []
        found = (("samples", len(evidence.samples), means(evidence.samples, parts)), ("reference", sizes[2], residuals(data.real, "real")))
        for of, n, own in found:
            size = strength(own - held_out)
            out.append(Measurement("fingerprint", size.value, of, n, None, None, own.shape[1], size.low, size.high, better="low"))
            if size.ratio is not None:
                out.append(Measurement("fingerprint_ratio", size.ratio, of, n, None, None, own.shape[1], better="low"))
        return out


@dataclass(frozen=True)
class Strength:
    """The size of a pattern with its 95 % interval, and its squared size over that of sampling noise; None where there is no noise."""

    value: float
    low: float
    high: float
    ratio: float | None


def strength(differences: Float[np.ndarray, "parts d"]) -> Strength:
    """Return the size of what all rows of ``differences`` have in common."""
    k, d = differences.shape
    gram = differences @ differences.T / d
    total, own = float(gram.sum()), float(np.trace(gram))
    squared = (total - own) / (k * (k - 1))
    left = (total - 2 * gram.sum(axis=1) + np.diag(gram) - (own - np.diag(gram))) / ((k - 1) * (k - 2))  # Q without one part
    half = float(stdtrit(k - 1, 0.975) * np.sqrt((k - 1) / k * np.square(left - left.mean()).sum()))
    value, low, high = (float(np.sqrt(max(q, 0.0))) for q in (squared, squared - half, squared + half))
    noise = (own - total / k) / (k * (k - 1))
    return Strength(value, low, high, total / k**2 / noise if noise > 1e-12 * own else None)


def pattern(samples: Pool, held_out: Pool) -> Float64[np.ndarray, "h w c"]:
    """Return the mean residual of samples less that of held-out rows, in grey levels."""
    out: np.ndarray = (means(samples, 1) - means(held_out, 1)).reshape(samples.images.shape[1:])
    return out


def means(pool: Pool, parts: int) -> Float64[np.ndarray, "{parts} d"]:
    """Return the mean residual of each of so many parts of the rows.

    Rows are dealt out condition after condition, in an order drawn by a fixed seed: in sets that are balanced by class, a part that is
    not would vary by more than their means do.
    """
    size = int(np.prod(pool.images.shape[1:]))
    out = np.zeros((parts, size))
    order = rng(0, REAL, "metric/fingerprint").permutation(len(pool))
    order = order[np.argsort(np.unique(pool.condition, return_inverse=True)[1][order], kind="stable")]
    for part, into in enumerate(out):
        rows = order[part::parts]
        for block in slices(len(rows), max(1, ELEMENTS // size)):
            into += residual(pool.images[rows[block]]).sum(axis=0).ravel() / len(rows)
    return out


def residual(images: UInt8[np.ndarray, "n h w c"]) -> Float64[np.ndarray, "n h w c"]:
    """Return each image minus its denoised self, by the local Wiener filter on 3 x 3 pixels.

    With m and v a pixel's local mean and variance and s the image's mean v, taken for the noise, the filter gives
    m + max(v - s, 0) / max(v, s) (x - m): edges stay in it, and so out of the residual, min(s / v, 1) (x - m).

    Source: Lee 1980, "Digital image enhancement and noise filtering by use of local statistics"; s as in scipy.signal.wiener.
    """
    x, window = images.astype(np.float64), (1, 3, 3, 1)
    mean = uniform_filter(x, window, mode="mirror")
    variance = np.maximum(uniform_filter(np.square(x), window, mode="mirror") - np.square(mean), 0)
    noise = variance.mean(axis=(1, 2), keepdims=True)
    out: np.ndarray = np.divide(noise, variance, out=np.ones_like(x), where=variance > noise) * (x - mean)
    return out
