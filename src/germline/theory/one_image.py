"""Growth where every caption has one image: what an image says of its caption cannot be told from what it says of itself.

Image x_c of caption c is b_c + r_c: what all images of the caption share, and the rest, of variance W (summed over values) within a
caption. Samples m_c move along d_c = x_c - xbar by N = sum_c <m_c - mbar, d_c>, and sum_c |d_c|^2 is B + (n - 1) W on average, where
B = sum_c |b_c - bbar|^2.

- A model that learned what captions say, and nothing of the single images, has E N = G B: its growth is N / B.
- One that learned the images by heart has E N = G (B + (n - 1) W): its growth is N / (B + (n - 1) W).

Whatever lies between has a growth between the two. In later generations N is multiplied by G in both cases, since what a sample says of
itself is drawn anew; only the first step, from the data to generation 0, needs to know W.

[derived, ours]; arXiv 2407.17493, whose chain it is, has none of it as far as we know. W is not to be had from one image a caption: it is
read off several draws of a model for each caption, and is that model's. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from germline.core.errors import BadInput


@dataclass(frozen=True, eq=False)
class OneImage:
    """The data's images of n captions, one each: d_c is a row of ``directions``; ``within`` is W of every caption that was drawn from."""

    directions: Float64[np.ndarray, "n d"]
    within: Float64[np.ndarray, " k"]

    @classmethod
    def of(cls, images: Float[np.ndarray, "n d"], draws: Float[np.ndarray, "k a d"]) -> OneImage:
        """Return what there is of ``images``, a row a caption, and of ``draws``: a >= 2 images of each of k captions, by one model.

        Raises:
            BadInput: fewer than three captions, or images that are all equal.
            ValueError: fewer than two draws a caption.
        """
        if draws.shape[1] < 2:
            raise ValueError(f"The spread within a caption needs two draws of it or more, but got {draws.shape[1]}.")
        x = np.asarray(images, np.float64)
        if len(x) < 3 or not np.ptp(x, axis=0).any():
            raise BadInput(f"Growth along single images needs three captions with different images, but there are {len(x)}.")
        within = np.asarray(draws, np.float64).var(axis=1, ddof=1).sum(axis=1)
        return cls(x - x.mean(axis=0), within)

    @property
    def total(self) -> float:
        """sum_c |d_c|^2 = B + (n - 1) W."""
        return float(np.square(self.directions).sum())

    @property
    def between(self) -> float:
        """B, the part of it that captions tell; what the draws' W leaves."""
        return self.total - (len(self.directions) - 1) * float(self.within.mean())

    @property
    def most(self) -> float:
        """The largest growth that images of values from -1 to 1 can show: every value black or white, along d_c."""
        return float(np.abs(self.directions).sum() / self.total)

    def moved(self, samples: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """Return <m_c - mbar, d_c> of a sample a caption, in the order of the images; their sum is N."""
        x = np.asarray(samples, np.float64)
        found: np.ndarray = ((x - x.mean(axis=0)) * self.directions).sum(axis=1)
        return found

    def replicas(
        self, moved: Float64[np.ndarray, " n"], captions: Int[np.ndarray, "r n"], drawn: Int[np.ndarray, "r k"]
    ) -> tuple[Float64[np.ndarray, " r"], Float64[np.ndarray, " r"]]:
        """Return N / (B + (n - 1) W) and N / B where captions are drawn with repeats, and those that W was read off too.

        A replica whose W leaves nothing has infinite growth by the second.
        """
        lengths = np.square(self.directions).sum(axis=1)
        upper, total = moved[captions].sum(axis=1), lengths[captions].sum(axis=1)
        between = total - (len(lengths) - 1) * self.within[drawn].mean(axis=1)
        with np.errstate(divide="ignore"):
            return upper / total, np.where(between > 0, upper / np.where(between > 0, between, 1), np.inf)
