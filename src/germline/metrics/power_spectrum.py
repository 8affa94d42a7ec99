"""At which frequencies the images vary: the radially averaged power spectrum, and how much of it is high."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, UInt8

from germline.core.cache import Arrays
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.neighbours import slices
from germline.core.noise import bootstrap, ratio
from germline.core.pool import Pool

ELEMENTS = 1 << 21  # pixels whose transform is held at once


@dataclass(frozen=True)
class PowerSpectrum:
    """Of S_g, ``high_frequency``: the variance of a pixel at ``cutoff`` or more cycles a pixel; ``high_frequency_share``: of all variance.

    With x an image in -1 to 1, one channel, n pixels, and F = FFT2(x - its mean), the power at a frequency is |F|^2 / n, and its sum over
    frequencies / n is the variance of the image's pixels (Parseval). ``high_frequency`` sums it over the radial frequencies from 3/8 on,
    three quarters of the highest along an axis: on 8 x 8 pixels |k| >= 3, where it is 1/64 of the HF of our notes on arXiv 2407.17493
    (which do not divide by n). In other sizes the same frequencies, in cycles a pixel, count. Channels are averaged. The share is of the
    means over images, not the mean of shares.

    The curve of ``high_frequency`` is the radial spectrum: the mean power of the frequencies within 1/2 of r cycles an image, r = 1 to half
    of the shorter side. White noise of variance s^2 has s^2 everywhere. Intervals are bootstraps over images.

    Source: ours; that guidance drives chains to high or to low frequencies is arXiv 2407.17493's.
    """

    cutoff: float = 0.375

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return both numbers of the samples and, for reference, of held-out rows."""
        data = evidence.data
        d = int(np.prod(data.image_shape))
        known = evidence.ctx.once(self, lambda: self._power(data.held_out), of=f"held_out {data.digest}")
        out = []
        for of, found in (("samples", self._power(evidence.samples)), ("reference", known)):
            high, total, curve = found["high"], found["total"], tuple(map(float, found["rings"]))
            low, top = bootstrap(high)
            value, n, who = float(high.mean()), len(high), "pixels, -1 to 1"
            out.append(Measurement("high_frequency", value, of, n, who, None, d, min(low, value), max(top, value), curve))
            if total.mean() > 0:
                value, low, top = ratio(high, total)
                out.append(Measurement("high_frequency_share", value, of, n, who, None, d, min(low, value), max(top, value)))
        return out

    def _power(self, pool: Pool) -> Arrays:
        n = len(pool)
        _, height, width, channels = pool.images.shape
        radius = radial(height, width)
        high = radius >= self.cutoff - 1e-9
        found = {"high": np.zeros(n), "total": np.zeros(n)}
        mean = np.zeros((height, width))
        for rows in slices(n, max(1, ELEMENTS // (height * width * channels))):
            p = power(pool.images[rows])
            mean += p.sum(axis=0) / n
            found["high"][rows], found["total"][rows] = p[:, high].sum(axis=1) / high.size, p.sum(axis=(1, 2)) / high.size
        return {**found, "rings": rings(mean)}


def power(images: UInt8[np.ndarray, "n h w c"]) -> Float64[np.ndarray, "n h w"]:
    """Return |FFT2(x - its mean)|^2 / (h w) of images in -1 to 1, the mean over channels."""
    x = images.astype(np.float64) / 127.5
    x -= x.mean(axis=(1, 2), keepdims=True)
    transform = np.fft.fft2(x, axes=(1, 2))
    out: np.ndarray = (np.square(transform.real) + np.square(transform.imag)).mean(axis=3) / (x.shape[1] * x.shape[2])
    return out


def radial(height: int, width: int) -> Float64[np.ndarray, "{height} {width}"]:
    """Return the radial frequency of every entry of an FFT2, in cycles a pixel."""
    out: np.ndarray = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    return out


def rings(mean: Float[np.ndarray, "h w"]) -> Float64[np.ndarray, " rings"]:
    """Return the mean of the entries nearest to each whole radius, 1 to half of the shorter side, in cycles an image."""
    side = min(mean.shape)
    ring = np.rint(radial(*mean.shape) * side).astype(int)
    counts = np.bincount(ring.ravel())
    sums = np.bincount(ring.ravel(), mean.ravel())
    out: np.ndarray = sums[1 : side // 2 + 1] / counts[1 : side // 2 + 1]
    return out
