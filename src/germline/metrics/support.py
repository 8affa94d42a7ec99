"""Precision, recall, density and coverage: do samples lie where real rows lie, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from germline.core.balls import held_by, own_radii
from germline.core.cache import Arrays
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import bootstrap, share
from germline.core.protocols import Extractor
from germline.metrics.coverage import covered


@dataclass(frozen=True)
class Support:
    """Precision, recall, density and coverage of S_g against held-out rows, from balls that reach each row's k-th nearest other row.

    All four depend on both numbers of rows: compare at equal n only, and with the reference, the real rows in the samples' place. That
    is why T_g, which grows, is not measured. Outliers inflate precision (among held-out rows) and recall (among samples); density and
    coverage were made to mend that. Intervals (Wilson; bootstrap for density) are conditional on the balls.

    Source: precision and recall, arXiv 1904.06991, equation 2; density and coverage, arXiv 2002.09797, equations 7 and 9, with k = 5.
    As there, a ball is open. The held-out split in the place of the training data is ours.
    """

    extractor: Extractor
    k: int = 5

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the four numbers of the samples and, for reference, of the real rows.

        Raises:
            BadInput: there are no more than k samples or held-out rows.
        """
        data, ctx = evidence.data, evidence.ctx
        held_out = ctx.features(self.extractor, data.held_out)
        if min(len(held_out), len(evidence.samples)) <= self.k:
            raise BadInput(
                f"Support with k = {self.k} needs at least {self.k + 1} rows on both sides, but got {len(evidence.samples)} samples"
                f" and {len(held_out)} held-out rows; lower k or give more rows."
            )
        radii = ctx.once(self, lambda: {"radii": own_radii(held_out, self.k)}, of=f"held_out {data.digest}")["radii"]
        real = ctx.features(self.extractor, data.real)
        known = ctx.once(self, lambda: Balls.of(held_out, real, self.k, radii).arrays(), of=f"reference {data.digest}")
        samples = Balls.of(held_out, ctx.features(self.extractor, evidence.samples), self.k, radii)
        return [
            Measurement(name, value, of, len(balls.holding), name_of(self.extractor), self.k, held_out.shape[1], low, high, better="high")
            for of, balls in (("samples", samples), ("reference", Balls(self.k, **known)))
            for name, (value, low, high) in balls.shares().items()
        ]


@dataclass(frozen=True, eq=False)
class Balls:
    """Of each made row, ``holding``: how many real balls hold it. Of each real row, ``recalled``: a made ball holds it; ``covered``."""

    k: int
    holding: Float64[np.ndarray, " m"]
    recalled: Bool[np.ndarray, " n"]
    covered: Bool[np.ndarray, " n"]

    @classmethod
    def of(
        cls, real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], k: int, radii: Float[np.ndarray, " n"] | None = None
    ) -> Balls:
        """Return the balls around real and made rows; ``radii`` are those of the real rows, where known."""
        radii = own_radii(real, k) if radii is None else radii
        holding = held_by(made, real, radii).astype(np.float64)
        return cls(k, holding, held_by(real, made, own_radii(made, k)) > 0, covered(real, made, radii))

    def shares(self) -> dict[str, tuple[float, float, float]]:
        """Return value, low and high of each: precision = mean 1[holding > 0], density = mean holding / k, and the means of the others."""
        density = self.holding / self.k
        return {
            "precision": share(self.holding > 0),
            "recall": share(self.recalled),
            "density": (float(density.mean()), *bootstrap(density)),
            "coverage": share(self.covered),
        }

    def arrays(self) -> Arrays:
        """Return what differs between rows."""
        return {"holding": self.holding, "recalled": self.recalled, "covered": self.covered}
