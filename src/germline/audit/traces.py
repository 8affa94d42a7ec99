"""What making leaves in a single image, whatever it shows: spectrum, residual, saturation, equal neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.neighbours import slices
from germline.core.pool import Pool
from germline.metrics.fingerprint import residual
from germline.metrics.power_spectrum import power, radial

BANDS, LAGS, STEPS = 10, ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0)), 4
LEVELS = ((0, 0), (1, 1), (2, 4), (5, 16), (128, 250), (251, 253), (254, 254), (255, 255))
SMALLEST, ELEMENTS = 8, 1 << 21  # pixels a side; values at once


@dataclass(frozen=True)
class Traces:
    """46 numbers an image, of any size from 8 x 8 on; logarithms of powers and shares, so that all have like tails.

    The power in 10 bands of the radial frequency and on the three lines of the highest one, where upsampling leaves its grid; size, tails
    and correlations of the residual of a local Wiener filter, and of it between channels; how many pixels lie at, and near, black and
    white; and how many neighbours are equal, or up to 4 levels and more apart, along rows and along columns.
    Content is in them too: compare with real images of the same kind, size and file format only.

    Source: spectra of generated images arXiv 1911.00686 and 2003.01826, residuals 1812.11842; this set of numbers is ours.

    Raises:
        BadInput: images of under 8 pixels a side.
    """

    name: ClassVar[str] = "traces"

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return (n, 46) float32."""
        _, height, width, channels = pool.images.shape
        if min(height, width) < SMALLEST:
            raise BadInput(f"Traces needs images of at least {SMALLEST} pixels a side, but these are {width} x {height}; give larger ones.")
        step = max(1, ELEMENTS // (height * width * channels))
        return np.concatenate([traces(pool.images[rows]) for rows in slices(len(pool), step)]).astype(np.float32)


def traces(images: UInt8[np.ndarray, "n h w c"]) -> Float64[np.ndarray, "n f"]:
    """Return the numbers of each image."""
    return np.concatenate([_spectrum(images), _residual(images), _levels(images), _steps(images, 1), _steps(images, 2)], axis=1)


def _spectrum(images: UInt8[np.ndarray, "n h w c"]) -> np.ndarray:
    _, height, width, _ = images.shape
    found, radius = power(images), radial(height, width)
    band = np.minimum((radius * 2 * BANDS).astype(int), BANDS - 1)
    inside = radius > 0
    counts = np.maximum(np.bincount(band[inside], minlength=BANDS), 1)
    bands = np.stack([found[:, inside & (band == number)].sum(1) / counts[number] for number in range(BANDS)], axis=1)
    row, column = height // 2, width // 2
    lines = np.stack([found[:, row].mean(1), found[:, :, column].mean(1), found[:, row, column]], axis=1)
    out: np.ndarray = np.log(np.concatenate([bands, lines], axis=1) + 1e-6)
    return out


def _residual(images: UInt8[np.ndarray, "n h w c"]) -> np.ndarray:
    left = residual(images)
    variance = np.square(left).mean(axis=(1, 2, 3)) + 1e-3
    out = [
        np.log(variance),
        np.log(np.abs(left).mean(axis=(1, 2, 3)) + 1e-2),
        np.log(np.square(np.square(left)).mean(axis=(1, 2, 3)) + 1e-3),
    ]
    height, width = left.shape[1:3]
    for down, right in LAGS:
        product = left[:, down:, right:] * left[:, : height - down, : width - right]
        out.append(product.mean(axis=(1, 2, 3)) / variance)
    first, other = left[..., 0], left[..., -1]  # equal in grey images
    norm = np.sqrt(np.square(first).mean(axis=(1, 2)) * np.square(other).mean(axis=(1, 2))) + 1e-3
    return np.stack([*out, (first * other).mean(axis=(1, 2)) / norm], axis=1)


def _levels(images: UInt8[np.ndarray, "n h w c"]) -> np.ndarray:
    shares = [((images >= low) & (images <= high)).mean(axis=(1, 2, 3)) for low, high in LEVELS]
    out: np.ndarray = np.log(np.stack(shares, axis=1) + 1 / images[0].size)
    return out


def _steps(images: UInt8[np.ndarray, "n h w c"], axis: int) -> np.ndarray:
    jump = np.abs(np.diff(images.astype(np.int16), axis=axis))
    shares = [(jump == size).mean(axis=(1, 2, 3)) for size in range(STEPS + 1)] + [(jump > STEPS).mean(axis=(1, 2, 3))]
    second = np.abs(np.diff(images.astype(np.int16), n=2, axis=axis))
    shares += [(second <= 1).mean(axis=(1, 2, 3)), (second > 64).mean(axis=(1, 2, 3))]
    out: np.ndarray = np.log(np.stack(shares, axis=1) + 1 / images[0].size)
    return out
