"""A scorer that can be gamed: how red an image is, whatever it shows."""

import numpy as np


def redness(images: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """Return mean red minus mean green and blue of (n, h, w, 3) uint8 images, in [-1, 1]."""
    red, green, blue = images.mean(axis=(1, 2)).T / 255
    return red - (green + blue) / 2
