"""Images that went through a JPEG and were stored as something else: the 8 x 8 grid that it leaves, row by row and as a share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.fft import dctn
from scipy.stats import fisher_exact

from germline.core.context import Context
from germline.core.neighbours import slices
from germline.core.pool import Pool

SIDE, SMALLEST, MOST, ROWS = 8, 16, 128, 32  # pixels of a block; of an image's sides, at least; that are looked at; images at once
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JPEG's YCbCr
VANISHES, TEXTURED, LEAST = 1.0, 8.0, 0.01  # of a coefficient; of the largest one of a block that counts; standard deviation over phases
MARKED, APART, SURE = 3.0, 0.05, 0.01  # deviations from which a row counts; difference of two shares that matters; chance of it


@dataclass(frozen=True)
class JpegGrid:
    """One number an image: how many more cosine coefficients vanish on JPEG's grid of blocks than on the grid's 63 other places.

    In standard deviations over those places: quantisation makes coefficients 0, but only where the blocks begin as the file's did. Grey
    is compared, of the first 128 x 128 pixels at most; an image of under 16 pixels a side, or one without texture, gives 0. What was
    resized, turned or cropped after the JPEG has its grid elsewhere, and is not seen.

    Source: block artefacts of JPEG as evidence, Fan and de Queiroz 2003, "Identification of bitmap compression history"; the statistic
    over places is ours.
    """

    name: ClassVar[str] = "jpeg_grid"

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n 1"]:
        """Return (n, 1) float32."""
        return np.concatenate([deviations(pool.images[rows]) for rows in slices(len(pool), ROWS)])[:, None].astype(np.float32)


def deviations(images: UInt8[np.ndarray, "n h w c"]) -> Float[np.ndarray, " n"]:
    """Return the number of each image."""
    if min(images.shape[1:3]) < SMALLEST:
        return np.zeros(len(images))
    part = images[:, :MOST, :MOST].astype(np.float32)
    grey = part @ LUMA if part.shape[3] == 3 else part[..., 0]
    first, *others = (_vanishing(grey[:, down:, right:]) for down, right in product(range(SIDE), repeat=2))
    elsewhere = np.stack(others)
    out: np.ndarray = (first - elsewhere.mean(0)) / np.maximum(elsewhere.std(0), LEAST)
    return out


def _vanishing(grey: Float32[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Return the share of coefficients that vanish, of each image's blocks with texture."""
    n, height, width = grey.shape[0], grey.shape[1] // SIDE, grey.shape[2] // SIDE
    blocks = grey[:, : height * SIDE, : width * SIDE].reshape(n, height, SIDE, width, SIDE)
    size = np.abs(dctn(blocks, axes=(2, 4), norm="ortho"))
    size[:, :, 0, :, 0] = 0  # the mean
    textured = size.max(axis=(2, 4)) > TEXTURED
    empty = (size < VANISHES).sum(axis=(2, 4)) - 1
    out: np.ndarray = (empty * textured).sum(axis=(1, 2)) / np.maximum(textured.sum(axis=(1, 2)) * (SIDE**2 - 1), 1)
    return out


def compressed_otherwise(pool: Float[np.ndarray, " m"], real: Float[np.ndarray, " n"]) -> str:
    """Return why the made share cannot be told where the pool's rows and the real ones differ in how many bear the grid; "" where not.

    They differ where the shares are certainly apart (Fisher's exact test, 1 %) and by more than 5 points. Ours.
    """
    there, here = int((pool > MARKED).sum()), int((real > MARKED).sum())
    shares = there / max(1, len(pool)), here / max(1, len(real))
    chance = float(fisher_exact([[there, len(pool) - there], [here, len(real) - here]])[1])
    if abs(shares[0] - shares[1]) <= APART or chance > SURE:
        return ""
    return (
        f"{shares[0]:.0%} of the pool's images and {shares[1]:.0%} of the real ones bear the grid of a JPEG, whatever they are stored as:"
        " compression is taken for drawing by a model"
    )
