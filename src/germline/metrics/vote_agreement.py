"""Whether a score says of samples what people said: keep, or reject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.noise import RESAMPLES
from germline.core.pool import REAL, Pool
from germline.core.protocols import Scorer
from germline.core.seeds import rng


class Votes(Protocol):
    """People's ratings of some rows, such as a file of them."""

    def found(self, pool: Pool) -> Float[np.ndarray, " n"]:
        """Return one rating a row, NaN where nobody rated it."""
        ...


@dataclass(frozen=True)
class VoteAgreement:
    """``vote_auc`` and ``vote_kappa`` of those rows of S_g that people voted on.

    ``vote_auc`` is the chance that a kept row scores above a rejected one, ties half: 0.5 is no agreement, 1 a perfect order.
    ``vote_kappa``, where a score has a threshold below which it rejects, is Cohen's kappa of the two decisions: 0 is what chance
    gives. Intervals are 95 % bootstraps over rows, and say nothing of other voters.

    Source: area under the curve, Hanley and McNeil 1982; kappa, Cohen 1960.

    Attributes:
        scorer: what is held against the votes, such as ``Support``: hallucinations score below 0.
        votes: the ratings, such as ``Ratings``.
        keep_from: the least rating that says keep; of several voters the mean is compared.
        threshold: below it the scorer rejects; none is tried when not given.

    Raises:
        BadInput: no row was voted on, or all were voted the same.
    """

    scorer: Scorer
    votes: Votes
    keep_from: float = 0.5
    threshold: float | None = None
    version: ClassVar[int] = 2  # the share that people kept is a metric of its own

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the one or two numbers of the samples."""
        rows, kept = voted(self.votes, evidence.samples, self.keep_from)
        if not 0 < int(kept.sum()) < len(kept):
            raise BadInput(
                "VoteAgreement needs samples that were kept and ones that were rejected, but of"
                f" {len(evidence.samples)} samples {len(rows)} have votes, {int(kept.sum())} of them keep; vote on more, or measure the"
                " generation that was voted on."
            )
        scores, n, who = np.asarray(self.scorer(evidence.samples.take(rows), evidence.ctx), np.float64), len(rows), self.scorer.name
        value, low, high = auc(scores, kept)
        out = [Measurement("vote_auc", value, "samples", n, who, d=1, low=low, high=high, better="high")]
        if self.threshold is not None:
            value, low, high = kappa(scores >= self.threshold, kept)
            out.append(Measurement("vote_kappa", value, "samples", n, who, d=1, low=low, high=high, better="high"))
        return out


def voted(votes: Votes, samples: Pool, keep_from: float) -> tuple[Int[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
    """Return the rows that were voted on, and of each whether it was kept."""
    ratings = np.asarray(votes.found(samples), np.float64)
    rows = np.flatnonzero(np.isfinite(ratings))
    return rows, ratings[rows] >= keep_from


def auc(scores: Float[np.ndarray, " n"], kept: Bool[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Return the chance that a kept row scores above a rejected one, and its interval: kept and rejected rows are drawn apart."""
    yes, no = np.flatnonzero(kept), np.flatnonzero(~kept)
    value, drawn = _auc(scores[yes], scores[no]), []
    for number in range(RESAMPLES):
        draw = rng(0, REAL, "bootstrap", number)
        drawn.append(_auc(scores[draw.choice(yes, len(yes))], scores[draw.choice(no, len(no))]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return value, min(float(low), value), max(float(high), value)


def kappa(one: Bool[np.ndarray, " n"], other: Bool[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Return Cohen's kappa of two decisions on the same rows, and its interval; 0 where both always decide alike by chance alone."""
    value, drawn, n = _kappa(one, other), [], len(one)
    for number in range(RESAMPLES):
        rows = rng(0, REAL, "bootstrap", number).integers(n, size=n)
        drawn.append(_kappa(one[rows], other[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return value, min(float(low), value), max(float(high), value)


def _auc(yes: Float[np.ndarray, " m"], no: Float[np.ndarray, " n"]) -> float:
    from scipy.stats import rankdata  # slow to import

    m, n = len(yes), len(no)
    ranked = rankdata(np.concatenate([yes, no]))[:m].sum()
    return float((ranked - m * (m + 1) / 2) / (m * n))


def _kappa(one: Bool[np.ndarray, " n"], other: Bool[np.ndarray, " n"]) -> float:
    agree, p, q = float((one == other).mean()), float(one.mean()), float(other.mean())
    chance = p * q + (1 - p) * (1 - q)
    return (agree - chance) / (1 - chance) if chance < 1 else 0.0
