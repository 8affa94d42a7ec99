"""Whether images show what their captions say, by a scorer that reads both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.noise import bootstrap, ratio
from germline.core.pool import Pool
from germline.core.protocols import Scorer

ENOUGH = 10  # captions, fewer of which a bootstrap cannot draw from


@dataclass(frozen=True)
class Alignment:
    """``alignment``: the mean of a scorer of images against their captions over S_g, with a 95 % interval.

    Rows of one caption are no independent ones: the interval is a bootstrap over captions, where there are ten or more of them. The
    reference is held-out real images with their own captions; what a scorer gives them is what is to be had.

    Source: of CLIP's cosine, Hessel et al., arXiv 2104.08718, but for its factor 2.5 and its clipping at 0. The interval is ours.

    Attributes:
        scorer: such as ``ClipScore``. One that chose training rows rises whether or not images become better: take another.
    """

    scorer: Scorer

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the mean over the samples and, for reference, over held-out rows."""
        return means("alignment", self.scorer, evidence)


def means(name: str, scorer: Scorer, evidence: Evidence) -> list[Measurement]:
    """Return a scorer's mean over the samples and, for reference, over held-out rows."""
    out = []
    for of, pool in (("samples", evidence.samples), ("reference", evidence.data.held_out)):
        value, low, high = over_captions(np.asarray(scorer(pool, evidence.ctx), np.float64), pool)
        out.append(Measurement(name, value, of, len(pool), scorer.name, d=1, low=low, high=high, better="high"))
    return out


def over_captions(scores: Float64[np.ndarray, " n"], pool: Pool) -> tuple[float, float, float]:
    """Return the mean over rows and the ends of its interval, captions drawn with repeats and all rows of each with it."""
    captions, place = np.unique(pool.condition, return_inverse=True)
    if len(captions) < ENOUGH:
        low, high = bootstrap(scores)
        return float(scores.mean()), min(low, float(scores.mean())), max(high, float(scores.mean()))
    return ratio(np.bincount(place, scores), np.bincount(place).astype(np.float64))
