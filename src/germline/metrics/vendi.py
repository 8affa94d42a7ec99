"""Vendi score: the effective number of different samples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.protocols import Extractor
from germline.metrics.effective import Effective


@dataclass(frozen=True)
class Vendi:
    """The Vendi score of S_g and T_g: how many rows that have nothing in common would be as diverse.

    It is exp H_q of the eigenvalues of K / n, with the cosine kernel K_ij = x_i.x_j / (|x_i| |x_j|), from the d x d Gram matrix:
    1 if all rows point one way, m for m groups of equal size at right angles, at most d. ``order`` is q: 1 is Shannon's; a larger
    one counts rare rows less. A relative number: compare at equal extractor, d and q. The interval is a first-order bootstrap.

    Source: arXiv 2210.02410, equation 1 and Section 3.2 (linear kernel); orders, arXiv 2310.12952.
    """

    extractor: Extractor
    order: float = 1.0

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the score of samples, training set and, for reference, held-out rows."""
        out, name = [], "vendi" if self.order == 1 else f"vendi, order {self.order:g}"
        for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", evidence.data.held_out)):
            found = vendi(evidence.ctx.features(self.extractor, pool), self.order)
            low, high = found.interval()
            d = evidence.ctx.features(self.extractor, pool).shape[1]
            out.append(Measurement(name, found.value, of, len(pool), name_of(self.extractor), None, d, low, high, better="high"))
        return out


def vendi(features: Float[np.ndarray, "n d"], order: float = 1.0) -> Effective:
    """Return the Vendi score of rows under the cosine kernel; rows of zeros are like each other and like nothing else."""
    x = np.asarray(features, np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", x, x))
    x = x / np.where(length > 0, length, 1)[:, None]
    if not length.all():
        x = np.concatenate([x, (length == 0)[:, None].astype(np.float64)], axis=1)
    return Effective.of(x, order)
