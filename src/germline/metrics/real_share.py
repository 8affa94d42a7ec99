"""How much of what the model was trained on is real."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.pool import GIVEN, UNKNOWN


@dataclass(frozen=True)
class RealShare:
    """``real_share``, the share of real rows in T_g, by number, not by weight (see Ages for the made ones)."""

    version: ClassVar[int] = 2  # mean_age and ess went to Ages

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the share, of the training set.

        Raises:
            BadInput: the origin of some row is unknown.
        """
        training = evidence.training
        if strange := int(np.isin(training.generation, (UNKNOWN, GIVEN)).sum()):
            raise BadInput(f"RealShare: the origin of {strange} of {len(training)} rows of T_g is unknown, so their real share is, too.")
        return [Measurement("real_share", float(training.real.mean()), of="training", n=len(training))]
