"""How the values themselves are spread: mean, standard deviation, kurtosis, what varies within a condition, and between neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, UInt8

from germline.core.cache import Arrays
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import slices
from germline.core.noise import bootstrap, ratio
from germline.core.pool import Pool
from germline.core.protocols import Extractor

PIXELS = "pixels, -1 to 1"
ELEMENTS = 1 << 22  # values in float64 at once


@dataclass(frozen=True)
class LatentStatistics:
    """``mean``, ``std``, ``kurtosis``, ``within_variance`` and ``neighbour_correlation`` of S_g, in pixels (-1 to 1) or features.

    With x_ij the value of row i at coordinate j, m_j the mean of a coordinate and v_j its variance (divisor n):

    - ``mean`` and ``std`` are those of all values together, around one mean.
    - ``kurtosis`` is sum_j mean_i (x_ij - m_j)^4 / sum_j v_j^2: the coordinates' kurtoses, weighted by v_j^2, so that a pixel that is
      nearly always black does not decide it. A Gaussian has 3, whatever its variances. Not there where nothing varies.
    - ``within_variance`` is the variance around the mean of the rows of one condition (class or prompt), mean over coordinates, pooled
      over conditions with divisor n - conditions. Not there where no condition has two rows.
    - ``neighbour_correlation``, of pixels only, is the sum of cov(x_j, x_k) over that of (v_j + v_k) / 2, for all pixels j, k side by
      side: 0 for white noise, near 1 for what is blurred.

    Intervals are first-order bootstraps over rows.

    Source: ours, after what arXiv 2407.17493 is said to follow over its iterations; the paper's definitions are not known to us.
    """

    extractor: Extractor | None = None

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the numbers of the samples and, for reference, of held-out rows."""
        ctx, data = evidence.ctx, evidence.data
        known = ctx.once(self, lambda: self._rows(data.held_out, evidence), of=f"held_out {data.digest}")
        who = PIXELS if self.extractor is None else name_of(self.extractor)
        out = []
        for of, rows in (("samples", self._rows(evidence.samples, evidence)), ("reference", known)):
            for name, (value, low, high, n) in summary(rows).items():
                out.append(Measurement(name, value, of, n, who, None, rows["d"].item(), low, high))
        return out

    def _rows(self, pool: Pool, evidence: Evidence) -> Arrays:
        if self.extractor is not None:
            return moments(evidence.ctx.features(self.extractor, pool), pool.condition)
        images = pool.images[:]
        return {**moments(images.reshape(len(pool), -1), pool.condition, 1 / 127.5, -1.0), **beside(images)}


def moments(x: Float[np.ndarray, "n d"], condition: np.ndarray, scale: float = 1.0, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Return each row's part in the moments of ``x`` times ``scale`` plus ``shift``, so that means over rows give the moments.

    mean ``first`` is the mean of all values, mean ``second`` their variance, mean ``fourth`` / mean ``square`` the kurtosis, and mean
    ``within`` the variance within conditions. ``fourth`` and ``square`` differ from their means by the first-order change of sum_j m4_j
    and sum_j v_j^2 with the row's weight: (z^4 - 4 m3 z) and (2 v z^2 - v^2), z = x - m_j. Coordinates are taken in blocks.
    """
    n, d = x.shape
    grand, groups = float(np.mean(x, dtype=np.float64)) * scale + shift, groups_of(condition)
    out = {name: np.zeros(n) for name in ("first", "second", "fourth", "square", "within")}
    for part in slices(d, max(1, ELEMENTS // n)):
        y = x[:, part].astype(np.float64) * scale + shift
        out["first"] += y.sum(axis=1) / d
        out["second"] += np.square(y - grand).sum(axis=1) / d
        z = y - y.mean(axis=0)
        squares = np.square(z)
        v = squares.mean(axis=0)
        out["fourth"] += np.square(squares).sum(axis=1) - 4 * z @ (squares * z).mean(axis=0)
        out["square"] += 2 * squares @ v - v @ v
        for rows in groups:
            out["within"][rows] += np.square(y[rows] - y[rows].mean(axis=0)).sum(axis=1) / d
    together = np.concatenate(groups) if groups else np.empty(0, np.int64)
    out["within"] = out["within"][together] * len(together) / max(len(together) - len(groups), 1)
    return {**out, "d": np.asarray(d)}


def groups_of(condition: np.ndarray) -> list[Int[np.ndarray, " rows"]]:
    """Return the rows of each condition that has two or more; rows whose class is unknown (-1) are of none."""
    labels, group = np.unique(condition, return_inverse=True)
    told = [not isinstance(label, np.integer) or label >= 0 for label in labels]
    found = [np.flatnonzero(group == number) for number, known in enumerate(told) if known]
    return [rows for rows in found if len(rows) > 1]


def beside(images: UInt8[np.ndarray, "n h w c"]) -> dict[str, Float64[np.ndarray, " n"]]:
    """Return each row's part in the covariance of pixels side by side, ``product``, and in the mean variance of the two, ``variances``."""
    n = len(images)
    mean = images.mean(axis=0, dtype=np.float64)
    out = {"product": np.zeros(n), "variances": np.zeros(n)}
    for rows in slices(n, max(1, ELEMENTS // mean.size)):
        z = images[rows] - mean
        for one, other in ((z[:, 1:], z[:, :-1]), (z[:, :, 1:], z[:, :, :-1])):
            out["product"][rows] += (one * other).sum(axis=(1, 2, 3))
            out["variances"][rows] += (np.square(one) + np.square(other)).sum(axis=(1, 2, 3)) / 2
    return out


def summary(rows: Arrays) -> dict[str, tuple[float, float, float, int]]:
    """Return value, low, high and the number of rows of every number that the rows allow."""
    n = len(rows["first"])
    spread = [float(np.sqrt(max(end, 0.0))) for end in (rows["second"].mean(), *bootstrap(rows["second"]))]
    out = {"mean": (float(rows["first"].mean()), *bootstrap(rows["first"]), n), "std": (spread[0], spread[1], spread[2], n)}
    if rows["square"].mean() > 0:
        out["kurtosis"] = (*ratio(rows["fourth"], rows["square"]), n)
    if len(rows["within"]):
        out["within_variance"] = (float(rows["within"].mean()), *bootstrap(rows["within"]), len(rows["within"]))
    if "product" in rows and rows["variances"].mean() > 0:
        out["neighbour_correlation"] = (*ratio(rows["product"], rows["variances"]), n)
    return {name: (value, min(low, value), max(high, value), size) for name, (value, low, high, size) in out.items()}
