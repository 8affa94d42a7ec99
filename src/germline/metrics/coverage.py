"""How much of the real data the samples reach."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from germline.core.cache import Arrays
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import nearest
from germline.core.protocols import Extractor


@dataclass(frozen=True)
class Coverage:
    """Share of held-out rows that are nearer to a sample than to their k-th nearest held-out row.

    With as many samples as held-out rows, k = 1 and a perfect model, each of a row's 2n - 1 possible neighbours is the nearest with
    the same chance, so the share is about 1/2, not 1; the reference value of the real rows shows it. It depends on both sizes.

    Source: coverage of arXiv 2002.09797, equation 9, there with k = 5; k = 1 and the held-out split are ours.
    """

    extractor: Extractor
    k: int = 1

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the coverage by samples, training set, and, for reference, the real rows."""
        data, ctx, who = evidence.data, evidence.ctx, name_of(self.extractor)
        held_out = ctx.features(self.extractor, data.held_out)

        def radii() -> Arrays:
            return {"radii": nearest(held_out, held_out, self.k, exclude_self=True)[1][:, -1]}

        reach = ctx.once(self, radii, of=f"held_out {data.digest}")["radii"]
        return [
            Measurement(
                "coverage",
                float((nearest(held_out, ctx.features(self.extractor, pool))[1][:, 0] < reach).mean()),
                of=of,
                n=len(pool),
                extractor=who,
                k=self.k,
                d=held_out.shape[1],
                better="high",
            )
            for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", data.real))
        ]


def coverage(real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], k: int = 1) -> float:
    """Return the share of real rows with a made row nearer than their k-th nearest other real row."""
    return float((nearest(real, made)[1][:, 0] < nearest(real, real, k, exclude_self=True)[1][:, -1]).mean())
