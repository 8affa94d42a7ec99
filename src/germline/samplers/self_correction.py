"""Self-correction: samples pulled towards what real images of their class look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Float32, UInt8

from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool, Rows
from germline.core.protocols import Sampler
from germline.core.seeds import rng

Made = TypeVar("Made", contravariant=True)


@dataclass(frozen=True)
class SelfCorrected(Generic[Made]):
    """Move each image of ``sampler`` to (1 - gamma) x + gamma c, c the nearest of its class's ``centres`` k-means centres of real pixels.

    gamma = 0 leaves the images as they are, gamma = 1 puts the centres themselves in their place. The centres are fitted once a data
    set, on the split R, with a fixed seed. The samples of generation 0 are corrected too, and metrics measure corrected images.

    Source: Gillman et al., "Self-Correcting Self-Consuming Loops for Generative Model Training", arXiv 2402.07087: a correction maps
    a sample to one more likely under the real data; on MNIST towards 16 k-means centres a digit, which we know only through a summary.
    The straight step and its gamma are ours: the paper's gamma, from 0 to infinity, blends distributions, not images.

    Raises:
        BadInput: gamma outside [0, 1], no centre, or a class without a real image.
    """

    sampler: Sampler[Made]
    gamma: float = 0.5
    centres: int = 16

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1 or self.centres < 1:
            raise BadInput(f"SelfCorrected needs a gamma from 0 to 1 and 1 centre or more, but got {self.gamma} and {self.centres}.")

    @property
    def n(self) -> int:
        """Rows a generation."""
        return self.sampler.n

    def evaluations(self) -> int:
        """Return the inner sampler's network evaluations a row: the correction costs none."""
        evaluations = getattr(self.sampler, "evaluations", None)
        return int(evaluations()) if callable(evaluations) else 1

    def __call__(self, model: Made, rows: Rows, ctx: Context) -> Pool:
        """Return one corrected image a row."""
        made = self.sampler(model, rows, ctx)
        images: np.ndarray = made.images[:]
        if self.gamma == 0 or not len(made):
            return made
        fitted = RealCentres(self.centres).of(ctx)
        moved = np.empty_like(images)
        for label in np.unique(made.condition):
            if str(label) not in fitted:
                raise BadInput(f"SelfCorrected found no real image of class {label} in R to correct towards; give R some.")
            here = made.condition == label
            moved[here] = towards(images[here], fitted[str(label)], self.gamma)
        return Pool.of(moved, made.condition, ctx.generation, made.columns)


@dataclass(frozen=True)
class RealCentres:
    """The ``k`` k-means centres of each class's real images, in grey levels; a class with fewer images has as many centres as images."""

    k: int
    needs: ClassVar[tuple[str, ...]] = ("judge",)  # the digest of the whole data set: the fit is on R

    def of(self, ctx: Context) -> Arrays:
        """Return {class: (k, h, w, c) float32}."""
        return ctx.once(self, lambda: self._fit(ctx))

    def _fit(self, ctx: Context) -> Arrays:
        from sklearn.cluster import KMeans  # slow to import, and not every run needs it

        real, out = ctx.data.real, {}
        for number, label in enumerate(np.unique(real.condition)):
            images: np.ndarray = real.images[np.flatnonzero(real.condition == label)]
            x = images.reshape(len(images), -1).astype(np.float64)
            seed = int(rng(0, -1, "self-correction/centres", number).integers(2**31))
            found = KMeans(min(self.k, len(np.unique(x, axis=0))), n_init=4, random_state=seed, algorithm="lloyd").fit(x)
            out[str(label)] = found.cluster_centers_.reshape(-1, *images.shape[1:]).astype(np.float32)
        return out


def towards(images: UInt8[np.ndarray, "n h w c"], centres: Float32[np.ndarray, "k h w c"], gamma: float) -> UInt8[np.ndarray, "n h w c"]:
    """Return round((1 - gamma) x + gamma c) with c the nearest centre, the lowest one on ties."""
    from scipy.spatial.distance import cdist  # slow to import

    # Pair by pair, not by a matrix product: a row's nearest centre must not depend on the rows beside it.
    nearest = cdist(images.reshape(len(images), -1), centres.reshape(len(centres), -1), "sqeuclidean").argmin(axis=1)
    x = (1 - gamma) * images.astype(np.float32) + gamma * centres[nearest]
    out: np.ndarray = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    return out
