"""How far samples have drifted from the base's own, in the space that weights are taken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

from germline.core.context import Context
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.pool import Pool
from germline.core.protocols import Extractor
from germline.metrics.alignment import over_captions

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


class Distance(Protocol):
    """Distances to the samples of generation 0, such as ``DistributionWeight`` weighs by."""

    @property
    def extractor(self) -> Extractor:
        """The space."""
        ...

    @property
    def distance(self) -> str:
        """What is averaged, such as "mse"."""
        ...

    def distances(self, pool: Pool, ctx: Context) -> Float[np.ndarray, " n"]:
        """Return each row's mean distance to all samples of generation 0."""
        ...


@dataclass(frozen=True)
class BaseDistance:
    """``base_distance``: the mean over S_g of a row's mean distance to all samples of generation 0; its curve holds quantiles.

    Generation 0's own value is the level that a model has which did not drift: twice the variance of its samples, of "mse" a feature.
    A mean that rises says that images become other than the base's, or have more contrast or colour; one that falls, that they gather
    in the middle of them (grey, blurred, alike). Neither is better by itself. The interval is a bootstrap over captions.

    Source: the distance of arXiv 2502.09963, Eq. 5; to follow its mean over the rounds is ours.

    Attributes:
        weighter: what distances are taken by.
    """

    weighter: Distance

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the mean over the samples and, for reference, over held-out rows."""
        ctx = evidence.ctx
        who = f"{name_of(self.weighter.extractor)}, {self.weighter.distance}"
        d = ctx.features(self.weighter.extractor, evidence.samples.take(range(1))).shape[1]
        out = []
        for of, pool in (("samples", evidence.samples), ("reference", evidence.data.held_out)):
            distances = np.asarray(self.weighter.distances(pool, ctx), np.float64)
            value, low, high = over_captions(distances, pool)
            curve = tuple(np.quantile(distances, QUANTILES).tolist())
            out.append(Measurement("base_distance", value, of, len(pool), who, None, d, low, high, curve))
        return out
