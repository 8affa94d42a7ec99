"""How weights are spread over the training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.metrics.ages import effective_sample_size

BINS = 10


@dataclass(frozen=True)
class Weights:
    """``weight``: the mean over T_g of w / max w, whose curve is the histogram; ``ess_share``: the effective sample size over the rows.

    The histogram holds the shares of the rows in ten bins of equal width from 0 to 1, the last with its upper end. Of weights that fall
    with the distance to the base's samples a mean that falls says that the best rows lie ever further from the base.

    Source: the effective sample size, (sum w)^2 / sum w^2, Kong 1992; the histogram is ours.
    """

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the two numbers of the training set."""
        log_weight = evidence.training.log_weight
        n, relative = len(log_weight), np.exp(log_weight - log_weight.max())
        share = effective_sample_size(log_weight) / n
        return [
            Measurement("weight", float(relative.mean()), "training", n, curve=histogram(relative)),
            Measurement("ess_share", share, "training", n, better="high"),
        ]


def histogram(relative: Float[np.ndarray, " n"], bins: int = BINS) -> tuple[float, ...]:
    """Return the shares of numbers from 0 to 1 in bins of equal width; 1 lies in the last."""
    place = np.minimum((np.asarray(relative) * bins).astype(np.int64), bins - 1)
    return tuple((np.bincount(place, minlength=bins) / len(place)).tolist())
