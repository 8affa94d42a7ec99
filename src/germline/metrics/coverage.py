"""How much of the real data the samples reach."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from germline.core.balls import own_radii
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import nearest
from germline.core.noise import share
from germline.core.protocols import Extractor


@dataclass(frozen=True)
class Coverage:
    """Share of held-out rows that are nearer to a sample than to their k-th nearest held-out row, with its Wilson interval.

    With as many samples as held-out rows, k = 1 and a perfect model, each of a row's 2n - 1 possible neighbours is the nearest with
    the same chance, so the share is about 1/2, not 1; the reference value of the real rows shows it. It depends on both sizes.

    Source: coverage of arXiv 2002.09797, equation 9, there with k = 5 (see Support); k = 1 and the held-out split are ours.
    """

    extractor: Extractor
    k: int = 1
    version: ClassVar[int] = 2  # intervals

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the coverage by samples, training set, and, for reference, the real rows.

        Raises:
            BadInput: there are no more than k held-out rows.
        """
        data, ctx, who = evidence.data, evidence.ctx, name_of(self.extractor)
        held_out = ctx.features(self.extractor, data.held_out)
        if len(held_out) <= self.k:
            raise BadInput(
                f"Coverage with k = {self.k} needs at least {self.k + 1} held-out rows, but got {len(held_out)}; give more rows."
            )
        reach = ctx.once(self, lambda: {"radii": own_radii(held_out, self.k)}, of=f"held_out {data.digest}")["radii"]
        out = []
        for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", data.real)):
            value, low, high = share(covered(held_out, ctx.features(self.extractor, pool), reach))
            d = held_out.shape[1]
            out.append(Measurement("coverage", value, of, len(pool), who, self.k, d, low, high, better="high"))
        return out


def covered(real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], radii: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return which real rows have a made row nearer than their radius."""
    near: np.ndarray = nearest(real, made)[1][:, 0] < radii
    return near


def coverage(real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], k: int = 1) -> float:
    """Return the share of real rows with a made row nearer than their k-th nearest other real row."""
    return float(covered(real, made, own_radii(real, k)).mean())
