"""Generalization score: how far the samples are from what the model was trained on."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float64

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import nearest
from germline.core.noise import bootstrap
from germline.core.pool import Pool
from germline.core.protocols import Extractor


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
        """Return ``generalisation_score`` of samples and held-out rows, and ``mnnd`` of samples, training set and held-out rows."""
        who = name_of(self.extractor) if self.extractor else "pixels, mean squared"
        training, samples, held_out = (self._features(p, evidence) for p in (evidence.training, evidence.samples, evidence.data.held_out))
        mean_squared = self.extractor is None
        kinds = (("samples", samples), ("training", training), ("reference", held_out))
        found = [("generalisation_score", of, distances(rows, training, mean_squared)) for of, rows in kinds if of != "training"]
        found += [("mnnd", of, own_distances(rows, mean_squared)) for of, rows in kinds]
        d = samples.shape[1]
        return [Measurement(name, float(each.mean()), of, len(each), who, 1, d, *bootstrap(each)) for name, of, each in found]

    def _features(self, pool: Pool, evidence: Evidence) -> Float[np.ndarray, "n d"]:
        if self.extractor is None:
            return np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)
        return evidence.ctx.features(self.extractor, pool)


def distances(
    samples: Float[np.ndarray, "n d"], training: Float[np.ndarray, "m d"], mean_squared: bool = False
) -> Float64[np.ndarray, " n"]:
    """Return each sample's distance to the nearest training row; ``mean_squared`` takes its square, divided by d."""
    return _measured(nearest(samples, training)[1], samples.shape[1], mean_squared)


def own_distances(rows: Float[np.ndarray, "n d"], mean_squared: bool = False) -> Float64[np.ndarray, " n"]:
    """Return each row's distance to its nearest other row."""
    return _measured(nearest(rows, rows, exclude_self=True)[1], rows.shape[1], mean_squared)


def generalisation_score(samples: Float[np.ndarray, "n d"], training: Float[np.ndarray, "m d"], mean_squared: bool = False) -> float:
    """Return the mean over samples of the distance to the nearest training row; ``mean_squared`` takes its square, divided by d."""
    return float(distances(samples, training, mean_squared).mean())


def mean_nearest_distance(rows: Float[np.ndarray, "n d"], mean_squared: bool = False) -> float:
    """Return the mean distance of each row to its nearest other row (MNND)."""
    return float(own_distances(rows, mean_squared).mean())


def _measured(radii: Float64[np.ndarray, "n 1"], d: int, mean_squared: bool) -> Float64[np.ndarray, " n"]:
    return np.square(radii[:, 0]) / d if mean_squared else radii[:, 0]
