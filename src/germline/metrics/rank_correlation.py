"""Whether what selects still says what a judge says that selects nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.neighbours import slices
from germline.core.noise import ELEMENTS, RESAMPLES, counts
from germline.core.protocols import Scorer


@dataclass(frozen=True)
class RankCorrelation:
    """``rank_correlation``: Spearman's correlation of a selecting scorer and a held-out one over S_g, with a 95 % bootstrap interval.

    A selecting scorer that is optimised stops telling good images from bad ones before it stops rising: its correlation with a scorer that
    chooses nothing falls towards 0. Beside it is that of held-out real images. The interval is over captions, all rows of each with it.

    Source: Spearman 1904, ties at their mean rank; as a sign of over-optimisation, ours.

    Attributes:
        scorer: what selects.
        held_out: what does not.

    Raises:
        BadInput: fewer than three rows, or a scorer that gives all rows the same.
    """

    scorer: Scorer
    held_out: Scorer

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the correlation over the samples and, for reference, over held-out rows."""
        out, who = [], f"{self.scorer.name} with {self.held_out.name}"
        for of, pool in (("samples", evidence.samples), ("reference", evidence.data.held_out)):
            pair = [np.asarray(one(pool, evidence.ctx), np.float64) for one in (self.scorer, self.held_out)]
            for one, scores in zip((self.scorer, self.held_out), pair, strict=True):
                if len(scores) < 3 or np.ptp(scores) == 0:
                    raise BadInput(
                        f"RankCorrelation needs 3 rows or more that {one.name} tells apart, but it gives {len(scores)} {of} rows"
                        f" {len(np.unique(scores))} values."
                    )
            value, low, high = spearman(pair[0], pair[1], pool.condition)
            out.append(Measurement("rank_correlation", value, of, len(pool), who, d=1, low=low, high=high, better="high"))
        return out


def spearman(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], groups: np.ndarray | None = None) -> tuple[float, float, float]:
    """Return Spearman's correlation and the ends of its 95 % percentile interval, rows drawn with repeats, or groups whole.

    The draws are those of a fixed seed. A draw in which either side does not vary is left out.
    """
    _, place = np.unique(np.arange(len(a)) if groups is None else groups, return_inverse=True)
    many, ones = int(place.max()) + 1, np.ones((1, len(a)))
    (value,) = _correlations(a, b, ones)
    parts = [_correlations(a, b, counts(many, part.start, part.stop)[:, place]) for part in slices(RESAMPLES, max(1, ELEMENTS // len(a)))]
    drawn = np.concatenate(parts)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (value, value)
    return float(value), float(min(low, value)), float(max(high, value))


def _correlations(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], times: Float[np.ndarray, "d n"]) -> Float64[np.ndarray, " d"]:
    """Return the correlation in every draw, of which ``times`` says how often each row is in it; NaN where a side does not vary."""
    x, y = (_ranks(one, times) for one in (a, b))
    size = np.sqrt((times * x * x).sum(1) * (times * y * y).sum(1))
    with np.errstate(invalid="ignore"):
        found: np.ndarray = np.where(size > 0, np.clip((times * x * y).sum(1) / size, -1, 1), np.nan)
    return found


def _ranks(scores: Float[np.ndarray, " n"], times: Float[np.ndarray, "d n"]) -> Float64[np.ndarray, "d n"]:
    """Return each row's rank in every draw, ties at their mean, less the mean rank: by one sorting for all draws."""
    _, level, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    at_level = np.add.reduceat(times[:, np.argsort(level, kind="stable")], starts, axis=1, dtype=np.float64)
    middle = np.cumsum(at_level, axis=1) - at_level / 2  # of a level, counted from 0
    ranks: np.ndarray = middle[:, level] - at_level.sum(1, keepdims=True) / 2
    return ranks
