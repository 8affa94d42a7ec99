"""How old and how evenly weighted the training set is."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement


@dataclass(frozen=True)
class Ages:
    """Of T_g: ``mean_age`` of its made rows in generations, weighted as the trainer weights them, and its effective sample size ``ess``.

    The age of a row that generation h made is g - h: 1 for those of the generation before. Without made rows there is no age, and
    rows of unknown origin have none.

    Source: ess, (sum w)^2 / sum w^2, Kong 1992; the age is ours.
    """

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the two numbers of the training set."""
        training, n = evidence.training, len(evidence.training)
        out = [Measurement("ess", effective_sample_size(training.log_weight), of="training", n=n, better="high")]
        made = training.take((training.generation >= 0) & (training.log_weight > -np.inf))
        if len(made):
            age = mean_age(evidence.ctx.generation - made.generation, made.log_weight)
            out.append(Measurement("mean_age", age, of="training", n=len(made)))
        return out


def mean_age(ages: np.ndarray, log_weight: Float[np.ndarray, " n"]) -> float:
    """Return sum w a / sum w of un-normalised log-weights."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight @ ages / weight.sum())


def effective_sample_size(log_weight: Float[np.ndarray, " n"]) -> float:
    """Return (sum w)^2 / sum w^2 of un-normalised log-weights: n if all are equal, 1 if one outweighs all."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / np.square(weight).sum())
