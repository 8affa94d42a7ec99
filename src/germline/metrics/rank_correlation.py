"""Whether what selects still says what a judge says that selects nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.noise import RESAMPLES
from germline.core.pool import REAL
from germline.core.protocols import Scorer
from germline.core.seeds import rng


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
    order = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(place))])
    drawn = []
    for number in range(RESAMPLES):
        picked = rng(0, REAL, "bootstrap", number).integers(len(starts) - 1, size=len(starts) - 1)
        rows = order[_ranges(starts[picked], starts[picked + 1])]
        if (value := _correlation(a[rows], b[rows])) is not None:
            drawn.append(value)
    value = _correlation(a, b)
    assert value is not None
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (value, value)
    return value, min(float(low), value), max(float(high), value)


def _correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float | None:
    x, y = (_centred(one) for one in (a, b))
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / size, -1, 1)) if size > 0 else None


def _centred(scores: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    from scipy.stats import rankdata  # slow to import

    ranked: np.ndarray = rankdata(scores) - (len(scores) + 1) / 2
    return ranked


def _ranges(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return all numbers from each start up to its stop, one range after the other."""
    sizes = stops - starts
    ends = np.cumsum(sizes)
    found: np.ndarray = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes) + np.repeat(starts, sizes)
    return found
