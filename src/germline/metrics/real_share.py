"""What the model was trained on: how much of it is real, how evenly weighted, how old."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement


@dataclass(frozen=True)
class RealShare:
    """Of T_g: ``real_share``, the share of real rows; ``ess``, the effective sample size; ``mean_age`` of its made rows.

    The age of a row that generation h made is g - h: 1 for those of the generation before. Without made rows there is no age.
    """

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the three numbers, of the training set."""
        training, n = evidence.training, len(evidence.training)
        out = [
            Measurement("real_share", float(training.real.mean()), of="training", n=n),
            Measurement("ess", effective_sample_size(training.log_weight), of="training", n=n, better="high"),
        ]
        made = training.generation[~training.real]
        if len(made):
            out.append(Measurement("mean_age", float((evidence.ctx.generation - made).mean()), of="training", n=len(made)))
        return out


def effective_sample_size(log_weight: Float[np.ndarray, " n"]) -> float:
    """Return (sum w)^2 / sum w^2 of un-normalised log-weights: n if all are equal, 1 if one outweighs all."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / np.square(weight).sum())
