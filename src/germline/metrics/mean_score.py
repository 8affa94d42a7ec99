"""The mean of a scorer that says something else of images than whether they show their captions."""

from __future__ import annotations

from dataclasses import dataclass

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.protocols import Scorer
from germline.metrics.alignment import means


@dataclass(frozen=True)
class MeanScore:
    """``mean_score``: the mean of a scorer over S_g with a 95 % interval, beside what it gives held-out real images.

    In the scorer's own unit: log-odds of a probe or a detector of made images, a rating, whatever a server or a function gives. Where
    images are compared with their captions, ``Alignment`` is the name. The interval is a bootstrap over captions.

    Source: ours.

    Attributes:
        scorer: one that chose training rows rises whether or not images become better.
    """

    scorer: Scorer

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the mean over the samples and, for reference, over held-out rows."""
        return means("mean_score", self.scorer, evidence)
