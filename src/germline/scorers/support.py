"""How far inside of the real data's support a row lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from germline.core.balls import own_radii, reach, scale
from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Extractor


@dataclass(frozen=True)
class Support:
    """1 - f / s of each row: above 0 inside of the support, below 0 outside, at most 1.

    The support is the union of balls around the rows of the judge split, each of s times the distance r_j to its k-th nearest other
    one; f = min_j |x - h_j| / r_j. At the scale s at most ``null`` of the real rows R are outside (split conformal prediction), so of
    fresh real rows a share of about ``null`` scores below 0. It is what the metric ``Hallucination`` counts, on rows of which none is
    measured later: the metric's are the held-out ones.

    Source: ours; the balls are those of arXiv 1904.06991, equation 2.

    Raises:
        BadInput: too few real rows for this null rate, or no more than k rows in the judge split.
    """

    extractor: Extractor
    k: int = 5
    null: float = 0.05
    name: ClassVar[str] = "support"

    @property
    def needs(self) -> tuple[str, ...]:
        """The data set, and what the space needs."""
        return ("judge", *sorted(set(getattr(self.extractor, "needs", ())) - {"judge"}))

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one number a row."""
        judge = ctx.features(self.extractor, ctx.data.judge)
        if len(judge) <= self.k:
            raise BadInput(f"Support with k = {self.k} needs at least {self.k + 1} rows in the judge split, but got {len(judge)}; lower k.")

        def fit() -> Arrays:
            radii = own_radii(judge, self.k)
            return {"radii": radii, "scale": np.array([scale(reach(ctx.features(self.extractor, ctx.data.real), judge, radii), self.null)])}

        fitted = ctx.once(self, fit)
        if not 0 < fitted["scale"][0] < np.inf:
            raise BadInput(
                "Support: the rows of the judge split, or all real rows, are equal to one another, so there is no distance to go by."
            )
        out: np.ndarray = 1 - reach(ctx.features(self.extractor, pool), judge, fitted["radii"]) / fitted["scale"][0]
        return out
