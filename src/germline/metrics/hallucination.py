"""Samples that look like no real data: outside of its support, at a stated rate of false alarms."""

from dataclasses import dataclass

import numpy as np

from germline.core.balls import own_radii, reach, scale
from germline.core.cache import Arrays
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import share
from germline.core.protocols import Extractor


@dataclass(frozen=True)
class Hallucination:
    """Share of samples outside of the held-out rows' support, with its Wilson interval; a fresh real row is outside at the rate ``null``.

    The support is the union of balls around held-out rows, each of s times the distance to its k-th nearest other held-out row. The
    scale s is the one at which at most ``null`` of the real rows R, which no ball was made from, are outside: the conformal quantile
    of their factors min_j |x - h_j| / r_j. So the reference is not 0 but ``null``, and of a model of which a share p is off the
    support, about p + (1 - p) null is reported. A sample may be strange and still inside: this sees what the extractor sees.

    Source: ours; the balls are those of arXiv 1904.06991, equation 2; the quantile is that of split conformal prediction.
    """

    extractor: Extractor
    k: int = 5
    null: float = 0.05

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the share of samples and of T_g, and, for reference, the null rate.

        Raises:
            BadInput: too few real rows for this null rate, or no more than k held-out rows.
        """
        data, ctx = evidence.data, evidence.ctx
        held_out, who = ctx.features(self.extractor, data.held_out), name_of(self.extractor)
        if len(held_out) <= self.k:
            raise BadInput(f"Hallucination with k = {self.k} needs at least {self.k + 1} held-out rows, but got {len(held_out)}; lower k.")

        def fit() -> Arrays:
            radii = own_radii(held_out, self.k)
            return {"radii": radii, "scale": np.array([scale(reach(ctx.features(self.extractor, data.real), held_out, radii), self.null)])}

        known, d = ctx.once(self, fit, of=f"held_out {data.digest}"), held_out.shape[1]
        out = []
        for of, pool in (("samples", evidence.samples), ("training", evidence.training)):
            outside = reach(ctx.features(self.extractor, pool), held_out, known["radii"]) > known["scale"][0]
            value, low, high = share(outside)
            out.append(Measurement("hallucination", value, of, len(pool), who, self.k, d, low, high, better="low"))
        return [*out, Measurement("hallucination", self.null, "reference", len(data.real), who, self.k, d, better="low")]
