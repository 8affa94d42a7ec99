"""The directions in which real images differ most."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits

from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.names import name_of
from germline.core.pool import Pool
from germline.core.protocols import Extractor

MANY = 8192  # features whose covariance still fits


@dataclass(frozen=True)
class PCA:
    """The first ``dims`` principal components of another extractor's features: (f - mean) B, B fitted once, on the judge split.

    Distances are kept but for what lies outside the ``dims`` directions; nothing is whitened. Each direction's largest entry is
    positive, so equal data give equal signs.

    Source: Pearson, "On lines and planes of closest fit to systems of points in space", 1901.

    Raises:
        BadInput: more dimensions than the features have, or than the judge split can tell.
    """

    extractor: Extractor
    dims: int = 64

    @property
    def name(self) -> str:
        """Such as "pca64-pixels"."""
        return f"pca{self.dims}-{name_of(self.extractor)}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The judge split, and what the inner extractor needs."""
        inner: tuple[str, ...] = getattr(self.extractor, "needs", ())
        return ("judge", *(need for need in inner if need != "judge"))

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n {self.dims}"]:
        """Return (n, dims) float32, in the unit of the inner features."""
        fitted = ctx.once(self, lambda: self._fit(ctx))
        with threadpool_limits(1):
            centred = ctx.features(self.extractor, pool) - fitted["mean"]
            return (centred @ fitted["directions"]).astype(np.float32)

    def explained(self, ctx: Context) -> float:
        """Return the share of the judge split's variance that the components hold, 0 to 1."""
        return float(ctx.once(self, lambda: self._fit(ctx))["explained"].item())

    def _fit(self, ctx: Context) -> Arrays:
        features = ctx.features(self.extractor, ctx.data.judge).astype(np.float64)
        rows, size = features.shape
        if not 1 <= self.dims <= min(rows - 1, size):
            raise BadInput(
                f"{self.name} needs dims between 1 and {min(rows - 1, size)}: the judge split has {rows} rows of {size} features,"
                f" but dims is {self.dims}."
            )
        mean = features.mean(axis=0)
        with threadpool_limits(1):
            return {"mean": mean, **principal(features - mean, self.dims)}


def principal(centred: Float64[np.ndarray, "n f"], dims: int) -> dict[str, np.ndarray]:
    """Return ``directions`` (f, dims), largest variance first, and ``explained``, their share of all variance.

    Of very many features and fewer rows, no covariance is made: with X X^T u = n v u, X^T u / sqrt(n v) is a direction of variance v.
    """
    rows, size = centred.shape
    by_rows = size > max(rows, MANY)
    matrix = (centred @ centred.T if by_rows else centred.T @ centred) / rows
    last = len(matrix) - 1
    variance, directions = eigh(matrix, subset_by_index=(last - dims + 1, last))
    directions = directions[:, ::-1]
    if by_rows:
        directions = centred.T @ directions / np.sqrt(np.maximum(rows * variance[::-1], np.finfo(np.float64).tiny))
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(dims)]
    total = np.trace(matrix)
    return {"directions": directions * np.sign(largest), "explained": np.asarray(variance.sum() / total if total > 0 else 1.0)}
