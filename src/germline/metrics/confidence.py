"""How surely a probe that was fitted on real latents sees in a row what it was asked to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

from germline.core.context import Context
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import bootstrap
from germline.core.pool import Pool
from germline.core.protocols import Extractor


class Probe(Protocol):
    """A probe that chose its space."""

    def xi(self, pool: Pool, ctx: Context) -> Float[np.ndarray, " n"]:
        """Return each row's confidence in its own label, 0 to 1."""
        ...

    def space(self, ctx: Context) -> Extractor:
        """Return the space that it reads."""
        ...

    def accuracy(self, ctx: Context) -> float:
        """Return its accuracy in that space."""
        ...

    def accuracies(self, ctx: Context) -> tuple[float, ...]:
        """Return its accuracy in each space it could choose."""
        ...

    def judged(self, ctx: Context) -> int:
        """Return the number of rows that the accuracies are shares of."""
        ...


@dataclass(frozen=True)
class Confidence:
    """``confidence``: mean xi of S_g, of T_g and of its real and its made rows apart; ``probe_accuracy``, in the space it reads.

    The extractor says which space that is, with its noise level: here it is on record. The curve of ``probe_accuracy`` is over the
    spaces that there were, on the rows it was chosen by. Intervals are of other rows, not of another probe.

    Source: arXiv 2511.12742, where xi falls over the generations.
    """

    scorer: Probe

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the mean of samples, training set (by origin too) and, for reference, held-out rows, and the probe's accuracy."""
        ctx, training = evidence.ctx, evidence.training
        space, accuracies = self.scorer.space(ctx), self.scorer.accuracies(ctx)
        d = ctx.features(space, evidence.samples.take(range(1))).shape[1]
        out = []
        sets = [
            ("confidence", "samples", evidence.samples),
            ("confidence", "reference", evidence.data.held_out),
            ("confidence", "training", training),
            ("confidence_real", "training", training.take(training.real)),
            ("confidence_made", "training", training.take(training.generation >= 0)),
        ]
        for name, of, pool in sets:
            if len(pool):
                xi = self.scorer.xi(pool, ctx)
                low, high = bootstrap(xi)
                value = float(np.clip(xi.mean(), low, high))
                out.append(Measurement(name, value, of, len(pool), name_of(space), None, d, low, high, better="high"))
        judged, who = self.scorer.judged(ctx), name_of(space)
        return [*out, Measurement("probe_accuracy", self.scorer.accuracy(ctx), "reference", judged, who, None, d, curve=accuracies)]
