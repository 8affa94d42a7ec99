"""Images as PNG data URIs that a page can hold."""

from __future__ import annotations

import base64
import io

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

LARGEST = 64  # pixels a side on the page; larger images are shrunk by averaging


def shrink(side: int) -> int:
    """Return by which whole factor an image of this side is shrunk."""
    return max(1, -(-side // LARGEST))


def small(images: UInt8[np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "n h2 w2 c"]:
    """Return the images no larger than 64 pixels a side: as they are, or averaged over squares of whole pixels."""
    factor = shrink(max(images.shape[1:3]))
    if factor == 1:
        return images
    n, h, w, c = images.shape
    rows, columns = h // factor, w // factor
    squares = images[:, : rows * factor, : columns * factor].reshape(n, rows, factor, columns, factor, c)
    averaged: np.ndarray = np.rint(squares.mean(axis=(2, 4))).astype(np.uint8)
    return averaged


def mosaic(
    images: UInt8[np.ndarray, "n h w c"], columns: int, gap: int, there: Bool[np.ndarray, " n"] | None = None
) -> UInt8[np.ndarray, "y x c+1"]:
    """Return the images row by row, ``columns`` a row, with transparent gaps; the last channel is opacity.

    ``there`` says which places hold an image; the others are left transparent.
    """
    n, h, w, c = images.shape
    lines = -(-n // columns)
    canvas = np.zeros((lines * (h + gap) - gap, columns * (w + gap) - gap, c + 1), np.uint8)
    for i, image in enumerate(images):
        if there is not None and not there[i]:
            continue
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        canvas[y : y + h, x : x + w, :c], canvas[y : y + h, x : x + w, c] = image, 255
    return canvas


def data_uri(canvas: UInt8[np.ndarray, "y x c"]) -> str:
    """Return an array with opacity (2 or 4 channels) or without (1 or 3) as a PNG data URI; pixels are kept exactly."""
    file = io.BytesIO()
    Image.fromarray(canvas.squeeze(-1) if canvas.shape[-1] == 1 else canvas).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
