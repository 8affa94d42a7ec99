"""In how many directions the rows vary, and by how much."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import bootstrap
from germline.core.protocols import Extractor
from germline.metrics.effective import Effective


@dataclass(frozen=True)
class Spectrum:
    """Variance of S_g and T_g by direction: ``variance`` is its total, ``effective_rank`` the number of directions it fills.

    The curve of ``effective_rank`` holds the eigenvalues of the covariance, largest first; with p their shares of the total, the value
    is exp(-sum p log p): d if all are equal, 1 if one holds all. ``order`` 2 makes it the participation ratio (sum l)^2 / sum l^2. A
    chain that is trained on itself loses the total geometrically and the small directions first. Intervals are first-order bootstraps.

    Source: effective rank, Roy and Vetterli 2007, definition 1, there of singular values, here of the covariance.
    """

    extractor: Extractor
    order: float = 1.0

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return both numbers of samples, training set and, for reference, held-out rows."""
        out, who = [], name_of(self.extractor)
        name = "effective_rank" if self.order == 1 else f"effective_rank, order {self.order:g}"
        for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", evidence.data.held_out)):
            x = centred(evidence.ctx.features(self.extractor, pool))
            n, d = x.shape
            found, squares = Effective.of(x, self.order), np.einsum("ij,ij->i", x, x)
            low, high = found.interval()
            curve = tuple(map(float, found.eigenvalues))
            out.append(Measurement(name, found.value, of, n, who, None, d, low, high, curve))
            low, high = bootstrap(squares)
            out.append(Measurement("variance", float(squares.mean()), of, n, who, None, d, low, high))
        return out


def centred(features: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    """Return the rows less their mean, times sqrt(n / (n - 1)): X^T X / n is the covariance with divisor n - 1.

    Raises:
        BadInput: there is one row.
    """
    x = np.asarray(features, np.float64)
    if len(x) < 2:
        raise BadInput(f"A spectrum needs at least 2 rows, but got {len(x)}; give more rows.")
    out: np.ndarray = (x - x.mean(axis=0)) * np.sqrt(len(x) / (len(x) - 1))
    return out
