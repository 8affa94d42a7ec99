"""Whether samples show what they were asked to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
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

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the agreement of samples, training set and held-out rows."""
        out = []
        for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", evidence.data.held_out)):
            if not np.issubdtype(pool.condition.dtype, np.integer):
                raise BadInput(
                    f"Agreement needs classes as conditions, but those of the {of} are {pool.condition.dtype}; use a prompt scorer."
                )
            hits = int((self.classifier.predict(pool, evidence.ctx) == pool.condition).sum())
            low, high = wilson(hits, len(pool))
            who = name_of(self.classifier)
            out.append(Measurement("agreement", hits / len(pool), of, len(pool), who, low=low, high=high, better="high"))
        return out


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a share (Wilson 1927)."""
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return float(middle - half), float(middle + half)
