"""How much contrast and colour images have: what scorers of taste reward first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.pool import Pool
from germline.metrics.alignment import over_captions

BLOCK = 256
LUMA = np.array([0.299, 0.587, 0.114])  # of ITU-R BT.601


@dataclass(frozen=True)
class Colour:
    """``contrast`` and, of images in three channels, ``colourfulness``: means over S_g, in grey levels (0 to 255).

    Contrast is the standard deviation of an image's luma. Colourfulness is sqrt(var rg + var yb) + 0.3 sqrt(mean rg^2 + mean yb^2) with
    rg = R - G and yb = (R + G) / 2 - B; an image of greys has 0. Intervals are bootstraps over captions. Beside held-out real images,
    which have the level that is nobody's exaggeration.

    Source: colourfulness, Hasler and Suesstrunk, "Measuring colourfulness in natural images", 2003, Eq. for M^(3); contrast, Peli 1990
    (root mean square), in luma of BT.601.
    """

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the means over the samples and, for reference, over held-out rows."""
        out = []
        for of, pool in (("samples", evidence.samples), ("reference", evidence.data.held_out)):
            for name, each in of_pool(pool).items():
                value, low, high = over_captions(each, pool)
                out.append(Measurement(name, value, of, len(pool), low=low, high=high))
        return out


def of_pool(pool: Pool) -> dict[str, Float64[np.ndarray, " n"]]:
    """Return each image's contrast and, if it has colours, colourfulness."""
    blocks = list(pool.images.blocks(BLOCK))
    found = {"contrast": np.concatenate([contrast(images) for images in blocks])}
    if pool.images.shape[3] == 3:
        found["colourfulness"] = np.concatenate([colourfulness(images) for images in blocks])
    return found


def contrast(images: UInt8[np.ndarray, "n h w c"]) -> Float64[np.ndarray, " n"]:
    """Return the standard deviation of each image's luma."""
    x = images.astype(np.float64)
    luma = x @ LUMA if x.shape[3] == 3 else x[..., 0]
    found: np.ndarray = luma.std(axis=(1, 2))
    return found


def colourfulness(images: UInt8[np.ndarray, "n h w 3"]) -> Float64[np.ndarray, " n"]:
    """Return M^(3) of each image."""
    red, green, blue = np.moveaxis(images.astype(np.float64), 3, 0)
    rg, yb = red - green, (red + green) / 2 - blue
    spread = np.sqrt(rg.var(axis=(1, 2)) + yb.var(axis=(1, 2)))
    far = np.sqrt(rg.mean(axis=(1, 2)) ** 2 + yb.mean(axis=(1, 2)) ** 2)
    found: np.ndarray = spread + 0.3 * far
    return found
