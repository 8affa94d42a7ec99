"""Whether samples show what they were asked to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Int

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import share
from germline.core.pool import Pool


class Classifier(Protocol):
    """Tells classes apart; fitted on the judge split, never on what it judges."""

    def predict(self, pool: Pool, ctx: Context) -> Int[np.ndarray, " n"]:
        """Return the class of every row."""
        ...


@dataclass(frozen=True)
class Agreement:
    """Share of rows that the classifier puts into the class they were asked for, with a 95 % interval.

    The reference is held-out real data: the classifier's own accuracy. Samples above it are no better than real ones, but more typical.
    """

    classifier: Classifier
    version: ClassVar[int] = 2  # d, the number of classes

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the agreement of samples, training set and held-out rows."""
        out = []
        for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", evidence.data.held_out)):
            if not np.issubdtype(pool.condition.dtype, np.integer):
                raise BadInput(
                    f"Agreement needs classes as conditions, but those of the {of} are {pool.condition.dtype}; use a prompt scorer."
                )
            if untold := int((pool.condition < 0).sum()):
                raise BadInput(f"Agreement: {untold} of {len(pool)} rows of the {of} have no label; adopt images with labels.")
            value, low, high = share(self.classifier.predict(pool, evidence.ctx) == pool.condition)
            who, classes = name_of(self.classifier), len(evidence.data.classes)
            out.append(Measurement("agreement", value, of, len(pool), who, d=classes, low=low, high=high, better="high"))
        return out
