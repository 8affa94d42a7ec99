"""Rows whose mean is that of real data."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Extractor


@dataclass(frozen=True)
class CentreMatching:
    """Choose ``n`` rows one by one, each the one that brings the mean of the chosen features nearest to the mean of the split R.

    With ``per_class`` each class on offer gets the same number of rows, the remainder one each to the lowest, matched to the mean of
    R's rows of that class. A mean says nothing of the spread: watch coverage and variance.

    Source: herding: Welling, "Herding dynamical weights to learn", 2009; Chen, Welling and Smola, "Super-Samples from Kernel Herding",
    arXiv 1203.3472 (linear kernel); without repeats, and greedy on the mean itself, as the exemplars of Rebuffi et al., "iCaRL",
    arXiv 1611.07725. Its use in the loop is ours.

    Raises:
        BadInput: ``n`` exceeds what is on offer, or a class has too few rows, or none in R.
    """

    n: int
    extractor: Extractor
    per_class: bool = True

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows in order of choice, class after class."""
        if not 1 <= self.n <= len(pool):
            raise BadInput(f"CentreMatching was asked for {self.n} of {len(pool)} rows; give an n from 1 to what is on offer.")
        features = ctx.features(self.extractor, pool).astype(np.float64)
        real, wanted = ctx.features(self.extractor, ctx.data.real).astype(np.float64), ctx.data.real.condition
        if not self.per_class:
            return herded(features, real.mean(axis=0), self.n)
        classes, label = np.unique(pool.condition, return_inverse=True)
        chosen = []
        for number, condition in enumerate(classes):
            quota = self.n // len(classes) + (number < self.n % len(classes))
            rows, like = np.flatnonzero(label == number), wanted == condition
            if len(rows) < quota or not like.any():
                raise BadInput(
                    f"CentreMatching needs {quota} rows of class {condition} and real ones to match, but {len(rows)} are on offer and"
                    f" {int(like.sum())} in R; lower n or choose without per_class."
                )
            chosen.append(rows[herded(features[rows], real[like].mean(axis=0), quota)])
        return np.concatenate(chosen)


def herded(features: Float[np.ndarray, "rows d"], mean: Float64[np.ndarray, " d"], n: int) -> Int64[np.ndarray, " n"]:
    """Return ``n`` distinct rows: pick t is argmin_x |mean - (sum of picks before + x) / t|, the lowest row on ties.

    |t mean - s - x|^2 is |x|^2 - 2 x (t mean - s) up to what all x share, so a pick costs one product.
    """
    centred = features.astype(np.float64) - mean
    norm, total, taken = np.square(centred).sum(axis=1), np.zeros(len(mean)), np.zeros(len(features))
    picks = np.empty(n, np.int64)
    for t in range(n):
        picks[t] = (norm + 2 * (centred @ total) + taken).argmin()
        taken[picks[t]] = np.inf
        total += centred[picks[t]]
    return picks
