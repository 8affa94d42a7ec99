"""Differential entropy from nearest-neighbour distances."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import digamma, gammaln

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import first_copies, nearest
from germline.core.noise import bootstrap
from germline.core.pool import Pool
from germline.core.protocols import Extractor

OFFSET = 1e-10  # of the released code of arXiv 2509.16499


@dataclass(frozen=True)
class Entropy:
    """Kozachenko-Leonenko entropy of S_g and T_g in nats, on distinct rows, with the number of copies beside it.

    A relative number: compare only at equal n, d, k and extractor. It falls as a model contracts and *rises* as it drifts apart, so
    never read it without a distance and coverage. One pair of copies would be worth -10 nats or more at n = 1500: copies (equal
    images, or equal features) are counted and left out. ``with_copies`` is the released code's form: all rows, 1e-10 inside the log.
    The interval resamples the rows' contributions, given their neighbours: resampled rows would be copies, and worth minus infinity.

    Source: Kozachenko and Leonenko 1987; arXiv 2509.16499.
    """

    extractor: Extractor
    k: int = 1
    with_copies: bool = False
    version: ClassVar[int] = 2  # intervals

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return entropy and number of copies of samples, training set and, for reference, held-out rows."""
        out = []
        for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", evidence.data.held_out)):
            features = evidence.ctx.features(self.extractor, pool)
            rows = _distinct(pool, features)
            copies = len(pool) - len(rows)
            if not self.with_copies:
                features = features[rows]
            each = contributions(features, self.k, OFFSET if self.with_copies else 0.0)
            low, high = bootstrap(each)
            who, d = name_of(self.extractor), features.shape[1]
            out.append(Measurement("entropy", float(each.mean()), of, len(each), who, self.k, d, low, high))
            out.append(Measurement("entropy_copies", copies, of, len(pool), who, d=d, better="low"))
        return out


def entropy(features: Float[np.ndarray, "n d"], k: int = 1, offset: float = 0.0) -> float:
    """Return H_k = psi(n) - psi(k) + log c_d + (d / n) sum_i log(r_i + offset), in nats: the mean of ``contributions``."""
    return float(contributions(features, k, offset).mean())


def contributions(features: Float[np.ndarray, "n d"], k: int = 1, offset: float = 0.0) -> Float64[np.ndarray, " n"]:
    """Return psi(n) - psi(k) + log c_d + d log(r_i + offset) of every row.

    r_i is the distance of row i to its k-th nearest other row, and c_d = pi^(d/2) / Gamma(d/2 + 1) the volume of the unit ball.

    Raises:
        BadInput: no more than k rows, or more than k equal rows without an offset, where H is minus infinity.
    """
    n, d = features.shape
    if n <= k:
        raise BadInput(f"Entropy with k = {k} needs at least {k + 1} distinct rows, but got {n}; lower k or give more rows.")
    radii = nearest(features, features, k, exclude_self=True)[1][:, -1] + offset
    if not radii.all():
        row = int(np.flatnonzero(radii == 0)[0])
        raise BadInput(f"Entropy is minus infinity: row {row} equals {k} other rows. Leave copies out (Entropy does), or give an offset.")
    ball = d / 2 * np.log(np.pi) - gammaln(d / 2 + 1)
    each: np.ndarray = digamma(n) - digamma(k) + ball + d * np.log(radii)
    return each


def _distinct(pool: Pool, features: Float[np.ndarray, "n d"]) -> np.ndarray:
    """Return the rows whose image and whose features are new."""
    own = np.arange(len(pool))
    return np.flatnonzero((first_copies(pool.images) == own) & (first_copies(features) == own))
