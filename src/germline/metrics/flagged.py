"""How many samples a pipeline's safety checker would black out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.noise import share
from germline.core.protocols import Scorer


@dataclass(frozen=True)
class Flagged:
    """``flagged``: the share of S_g that a checker flags, with a 95 % interval: the rows to which ``scorer`` gives less than a half.

    The loop draws without a checker, so flagged images are among the samples. A share that moves over the generations is drift,
    whichever way it goes; the reference is held-out real images.

    Source: ours.

    Attributes:
        scorer: 1 where an image passes, 0 where it is flagged, as ``Safety`` says.
    """

    scorer: Scorer

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the share in the samples and, for reference, in held-out rows."""
        out = []
        for of, pool in (("samples", evidence.samples), ("reference", evidence.data.held_out)):
            value, low, high = share(np.asarray(self.scorer(pool, evidence.ctx)) < 0.5)
            out.append(Measurement("flagged", value, of, len(pool), self.scorer.name, d=1, low=low, high=high))
        return out
