"""Samples that have a twin among the samples: what a model makes that found one picture which pleases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import wilson
from germline.core.protocols import Extractor
from germline.metrics.near import near


@dataclass(frozen=True)
class Alike:
    """``alike``: the share of S_g with another sample nearer than the threshold.

    The threshold is the ``quantile`` of the distances of generation 0's samples to their nearest other one: of as many samples of a model
    that did not drift about that share has a twin. It depends on the number of samples, which is the same in every generation of a run.
    The interval holds the threshold's noise too, and is wide of few samples: its ends are those of Wilson's at the thresholds between
    which the quantile lies with 95 %, twins counted as one row, since they come in pairs.
    ``Duplicates`` counts samples near to what was trained on; this one, samples near to each other.

    Source: ours.

    Attributes:
        extractor: what distances are taken in; pixels when not given.
        quantile: of generation 0's distances.

    Raises:
        BadInput: ``quantile`` is not between 0 and 1, or there are fewer than two samples.
    """

    extractor: Extractor | None = None
    quantile: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise BadInput(f"Alike(quantile={self.quantile}) must be between 0 and 1.")

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the share."""
        ctx, samples = evidence.ctx, evidence.samples
        base = ctx.samples(0) if ctx.generations else samples
        if min(len(samples), len(base)) < 2:
            raise BadInput(f"Alike needs 2 samples or more in every generation, but got {len(samples)} and {len(base)}.")
        known, found = near(base, None, self.extractor, ctx), near(samples, None, self.extractor, ctx)
        value, low, high = twins(known, found, self.quantile)
        who = name_of(self.extractor) if self.extractor else "pixels"
        d = int(np.prod(samples.images.shape[1:])) if self.extractor is None else ctx.features(self.extractor, samples).shape[1]
        return [Measurement("alike", value, "samples", len(samples), who, 1, d, low, high, better="low")]


def twins(known: Float[np.ndarray, " m"], found: Float[np.ndarray, " n"], quantile: float) -> tuple[float, float, float]:
    """Return the share of ``found`` that is at most a quantile of ``known``, and the ends of its interval."""
    shares = [float((found <= np.quantile(known, at)).mean()) for at in (*_ends(quantile, len(known)), quantile)]
    value, low, high = shares[2], _ends(shares[0], len(found))[0], _ends(shares[1], len(found))[1]
    return value, min(low, value), max(high, value)


def _ends(share: float, n: int) -> tuple[float, float]:
    """Return the ends of the interval of a share of ``n`` rows that come in pairs."""
    low, high = wilson(share * n / 2, n / 2)
    return max(low, 0.0), min(high, 1.0)
