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

    def draw(self, x: Float[np.ndarray, "h w c"], random: np.random.Generator) -> Float32[np.ndarray, "h w c"]:
        """Return one draw of an image."""
        from scipy.ndimage import gaussian_filter  # slow to import, and few runs need it

        blur, flip, contrast, shift = random.random(4)
        sign = -1 if flip < self.flip else 1
        blurred = gaussian_filter(x.astype(np.float64), self.blur * blur, axes=(0, 1))
        out: np.ndarray = sign * (1 - (1 - self.contrast) * contrast) * blurred + self.shift * (2 * shift - 1)
        return out.astype(np.float32)


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
        draws = [self.style.draw(plain[i % len(plain)], rng(self.seed, REAL, "base/style", i)) for i in range(self.draws)]
        out: np.ndarray = (np.stack(draws) + 1) * np.float32(127.5)
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
