"""Images in a random style: what a base is trained on before it meets the data that a chain adapts it to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, Int64

from germline.core.pool import REAL, Pool
from germline.core.seeds import rng


@dataclass(frozen=True)
class Style:
    """A draw is sign * contrast * blurred(x) + shift of an image x in [-1, 1], not clipped.

    Gaussian blur of 0 to ``blur`` pixels, sign -1 with probability ``flip``, contrast from ``contrast`` to 1, shift of at most ``shift``
    either way; all uniform, one of each an image.

    Source: ours (the toy of our notes on arXiv 2407.17493, section 6).
    """

    blur: float = 1.2
    flip: float = 0.5
    contrast: float = 0.4
    shift: float = 0.3

    def of(self, x: Float32[np.ndarray, "n h w c"], random: np.random.Generator) -> Float32[np.ndarray, "n h w c"]:
        """Return one draw of every image."""
        blur, flip, contrast, shift = random.random((4, len(x), 1, 1, 1), np.float32)
        factor = np.where(flip < self.flip, -1, 1) * (1 - (1 - self.contrast) * contrast)
        out: np.ndarray = factor * blurred(x, self.blur * blur[:, 0, 0, 0]) + self.shift * (2 * shift - 1)
        return out.astype(np.float32)


def blurred(x: Float32[np.ndarray, "n h w c"], sigma: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n h w c"]:
    """Return every image after a Gaussian blur of its own width in pixels, cut off at 4 widths; edges are mirrored (pixels repeat there).

    What ``scipy.ndimage.gaussian_filter`` does to one image at a time, for all of them at once.
    """
    radius = (4 * sigma + 0.5).astype(np.int64)
    offsets = np.arange(-radius.max(), radius.max() + 1)
    weights = np.exp(-0.5 * (offsets / np.maximum(sigma, 1e-6)[:, None]) ** 2) * (abs(offsets) <= radius[:, None])
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)[..., None, None, None]
    for axis in (1, 2):
        size = x.shape[axis]
        mirrored = [np.pad(np.arange(size), radius.max(), "symmetric")[k : k + size] for k in range(len(offsets))]
        x = sum((weights[:, k] * np.take(x, rows, axis) for k, rows in enumerate(mirrored)), start=np.zeros_like(x))
    return x


@dataclass(frozen=True, eq=False)
class Styled:
    """``draws`` images of a pool, draw i of row i mod n, each in its own style; what a training sees in place of the pool."""

    pool: Pool
    style: Style
    draws: int
    seed: int

    def __len__(self) -> int:
        return self.draws

    @cached_property
    def images(self) -> Float32[np.ndarray, "draws h w c"]:
        """The draws in grey levels, which leave 0 to 255: clipped, they would say less of their style."""
        plain = self.pool.images[:].astype(np.float32) / 127.5 - 1
        rows = np.arange(self.draws) % len(plain)
        out: np.ndarray = (self.style.of(plain[rows], rng(self.seed, REAL, "base/style")) + 1) * np.float32(127.5)
        return out

    @property
    def condition(self) -> Int64[np.ndarray, " draws"]:
        """The class of each draw."""
        labels: np.ndarray = self.pool.condition[np.arange(self.draws) % len(self.pool)]
        return labels

    @property
    def log_weight(self) -> Float[np.ndarray, " draws"]:
        """Zero: all draws count alike."""
        return np.zeros(self.draws)
