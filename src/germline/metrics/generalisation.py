"""Generalization score: how far the samples are from what the model was trained on."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float64

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import nearest
from germline.core.noise import bootstrap
from germline.core.protocols import Extractor
from germline.metrics.near import features_of, near


@dataclass(frozen=True)
class Generalisation:
    """Mean distance of the rows of S_g to the nearest row of T_g, the set that the model was trained on.

    With an extractor: Euclidean distance of features (Section 5). Without: mean squared difference of pixels, 0..255 (Section 3).
    The reference is held-out real data; ``mnnd`` is the same mean within a set, each row to its nearest other row. The paper's law
    between GS and entropy is close to an identity of the latter: draw that null line. A model that drifts away scores high too.
    Intervals are bootstraps over rows, given the rows that they are compared with.

    Source: arXiv 2509.16499, Sections 3 and 5; T_g is what the text says, where the released code compares S_g with other sets.
    """

    extractor: Extractor | None = None
    version: ClassVar[int] = 2  # intervals

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return ``generalisation_score`` of samples and held-out rows, and ``mnnd`` of samples, training set and held-out rows.

        Raises:
            BadInput: one of the three has fewer than two rows.
        """
        who = name_of(self.extractor) if self.extractor else "pixels, mean squared"
        training, held_out, ctx = evidence.training, evidence.data.held_out, evidence.ctx
        kinds = (("samples", evidence.samples), ("training", training), ("reference", held_out))
        if few := [f"{len(pool)} of the {of}" for of, pool in kinds if len(pool) < 2]:
            raise BadInput(f"Generalisation needs at least 2 rows of each kind, but got {' and '.join(few)}; give more rows.")
        found = [("generalisation_score", of, near(pool, training, self.extractor, ctx)) for of, pool in kinds if of != "training"]
        found += [("mnnd", of, near(pool, None, self.extractor, ctx)) for of, pool in kinds]
        d = int(features_of(held_out.take([0]), self.extractor, ctx).shape[1])
        out = []
        for name, of, radii in found:
            each = np.square(radii) / d if self.extractor is None else radii
            low, high = bootstrap(each)
            out.append(Measurement(name, float(each.mean()), of, len(each), who, 1, d, low, high))
        return out


def generalisation_score(samples: Float[np.ndarray, "n d"], training: Float[np.ndarray, "m d"], mean_squared: bool = False) -> float:
    """Return the mean over samples of the distance to the nearest training row; ``mean_squared`` takes its square, divided by d."""
    return _mean(nearest(samples, training)[1], samples.shape[1], mean_squared)


def mean_nearest_distance(rows: Float[np.ndarray, "n d"], mean_squared: bool = False) -> float:
    """Return the mean distance of each row to its nearest other row (MNND)."""
    return _mean(nearest(rows, rows, exclude_self=True)[1], rows.shape[1], mean_squared)


def _mean(radii: Float64[np.ndarray, "n 1"], d: int, mean_squared: bool) -> float:
    return float(np.square(radii).mean() / d if mean_squared else radii.mean())
