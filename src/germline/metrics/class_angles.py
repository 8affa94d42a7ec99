"""The angles between the subspaces that the latents of two classes fill, and how many directions each class fills."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Float64

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.pool import Pool
from germline.core.protocols import Extractor
from germline.metrics.by_class import balanced, each_set
from germline.metrics.effective import Effective


@dataclass(frozen=True)
class ClassAngles:
    """``class_angle``: the mean principal angle in degrees between two classes' subspaces, ``class_rank``: directions a class fills.

    A class's subspace is spanned by the ``r`` leading right singular vectors of its features, not centred, as in OLE; 90 degrees is
    what latent-space filtering wants to keep. The curve of the angle holds the mean over pairs of classes of the first to r-th
    principal angle, smallest first. ``class_rank`` is the mean over classes of the effective rank of the centred features, its curve
    the classes'. Both depend on the rows: equally many of every class, ``per_class`` at most.

    Source: principal angles, Bjorck and Golub 1973; effective rank, Roy and Vetterli 2007; their use here is ours, after the two
    properties that arXiv 2511.12742 says are lost (orthogonal, low-rank).

    Raises:
        BadInput: conditions that are no classes, or fewer rows of a class, or features, than directions. Of the training set, a warning
            instead.
    """

    extractor: Extractor
    r: int = 4
    per_class: int = 100

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the two numbers of samples, training set and, for reference, held-out rows."""

        def judged(of: str, pool: Pool) -> list[Measurement]:
            rows = balanced(pool, self.per_class, "ClassAngles")
            features = evidence.ctx.features(self.extractor, rows).astype(np.float64)
            (n, d), who = features.shape, name_of(self.extractor)
            classes = [features[rows.condition == label] for label in np.unique(rows.condition)]
            if not 1 <= self.r <= min(len(classes[0]), d):
                raise BadInput(f"ClassAngles needs {self.r} directions, but a class has {len(classes[0])} rows of {d} features; lower r.")
            angles = between(classes, self.r)
            ranks = tuple(Effective.of(part - part.mean(axis=0)).value for part in classes)
            each = tuple(map(float, angles.mean(axis=0)))
            return [
                Measurement("class_angle", float(angles.mean()), of, n, who, self.r, d, curve=each, better="high"),
                Measurement("class_rank", float(np.mean(ranks)), of, n, who, None, d, curve=ranks),
            ]

        return each_set(evidence, "ClassAngles", judged)


def between(classes: list[Float64[np.ndarray, "n d"]], r: int) -> Float64[np.ndarray, "pairs {r}"]:
    """Return the principal angles of every pair of classes in degrees, smallest first."""
    from scipy.linalg import subspace_angles  # slow to import

    bases = [leading(part, r) for part in classes]
    return np.array([np.rad2deg(subspace_angles(one, other))[::-1] for one, other in combinations(bases, 2)])


def leading(features: Float[np.ndarray, "n d"], r: int) -> Float64[np.ndarray, "d {r}"]:
    """Return the ``r`` right singular vectors of the largest singular values."""
    directions: np.ndarray = np.linalg.svd(features, full_matrices=False)[2][:r].T
    return directions
