"""Frechet distance of two sets in the features of a named extractor. It is not "the FID": that is one extractor, at 50,000 images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.linalg
from jaxtyping import Float, Float64

from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import slices
from germline.core.pool import Pool
from germline.core.protocols import Extractor
from germline.core.splits import Splits
from germline.metrics import statistics
from germline.metrics.by_class import warn_of_training
from germline.metrics.statistics import Statistics

CHUNK = 8192
Split = Literal["held_out", "real"]


@dataclass(frozen=True)
class Frechet:
    """FD-<extractor>: Frechet distance of S_g and of T_g to a real set; the other real set gives the reference value.

    ``against`` a file of statistics (mu, sigma; see ``statistics``), the name ends in "@" and the file's name, and the real split is
    the reference, where it has rows enough. Called FID only in the space of the published TF-Inception network.

    It falls with the number of rows: compare at equal n only. Source: Dowson and Landau 1982; arXiv 1706.08500 for images.
    """

    extractor: Extractor
    against: Literal["held_out", "real"] | Path = "held_out"

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the distance of samples, training set and reference.

        Raises:
            BadInput: a set has no more rows than features, so its covariance has no full rank; of the training set, a warning instead. Or a
            file is of another space.
        """
        found = [("samples", self._moments(evidence, evidence.samples)), *self._training(evidence)]
        target, other = self._target(evidence, len(found[0][1].mean))
        values = [(of, _distance(moments, target), moments.n) for of, moments in found]
        if other is not None:

            def reference() -> Arrays:
                moments = self._fixed(evidence, other)
                return {"value": np.array([_distance(moments, target)]), "n": np.array([moments.n])}

            known = evidence.ctx.once(self, reference, of=f"reference {evidence.data.digest}")
            values.append(("reference", float(known["value"][0]), int(known["n"][0])))
        who = name_of(self.extractor)
        name = frechet_name(self.extractor) + (f"@{self.against.stem}" if isinstance(self.against, Path) else "")
        return [Measurement(name, value, of=of, n=n, extractor=who, d=len(target.mean), better="low") for of, value, n in values]

    def _target(self, evidence: Evidence, size: int) -> tuple[Statistics, Split | None]:
        """Return what is measured against, and the real set for reference."""
        if not isinstance(self.against, Path):
            target = self._fixed(evidence, self.against)
            return Statistics(target.mean, target.covariance, target.n), "real" if self.against == "held_out" else "held_out"
        return comparable(self.against, self.extractor, evidence.data, size), "real" if len(evidence.data.real) > size else None

    def _fixed(self, evidence: Evidence, split: Split) -> Moments:
        return moments_of(self.extractor, split, evidence.data, evidence.ctx)

    def _training(self, evidence: Evidence) -> list[tuple[str, Moments]]:
        """Return the training set, or nothing where it is too small: what selection keeps may be few rows."""
        try:
            return [("training", self._moments(evidence, evidence.training))]
        except BadInput as error:
            warn_of_training(evidence, "Frechet", error)
            return []

    def _moments(self, evidence: Evidence, pool: Pool) -> Moments:
        return checked_moments(self.extractor, evidence.ctx.features(self.extractor, pool))


def frechet_name(extractor: Extractor) -> str:
    """Return "FD-<extractor>"; only the extractor of the FID itself says that its distances are called otherwise."""
    return str(getattr(extractor, "frechet_name", f"FD-{name_of(extractor)}"))


def comparable(path: Path, extractor: Extractor, data: Splits, size: int) -> Statistics:
    """Return a file's statistics after checking that they are of this extractor's space, as far as the file tells.

    Raises:
        BadInput: another number of features, another extractor, or an extractor that was fitted on other data.
    """
    found, who = statistics.load(path), name_of(extractor)
    if len(found.mean) != size:
        raise BadInput(
            f"{path} holds statistics of {len(found.mean)} features, but {who} gives {size}: they are of another extractor."
            " Name the extractor that the file was made with (2048 features: usually inception:WEIGHTS)."
        )
    if found.extractor not in (None, who):
        raise BadInput(f"{path} holds statistics of {found.extractor}, not of {who}; name the extractor that the file was made with.")
    fitted: tuple[str, ...] = getattr(extractor, "needs", ())
    if found.space is None and fitted:
        raise BadInput(
            f"{path} does not say in which space it was made, and {who} is fitted on this data set or run, so no file of another program"
            " can be in its space; write one here with germline measure RUN --write-real."
        )
    if found.space not in (None, statistics.space_of(extractor, data)):
        raise BadInput(f"{path} was made by {who} with other settings or fitted on another data set; write it anew for this one.")
    return found


def statistics_of(extractor: Extractor, split: Split, data: Splits, ctx: Context) -> Statistics:
    """Return the statistics of a real set, ready to be saved.

    Raises:
        BadInput: the set has no more rows than features, or the extractor reads one run's own network.
    """
    space = statistics.space_of(extractor, data)
    moments = moments_of(extractor, split, data, ctx)
    return Statistics(moments.mean, moments.covariance, moments.n, name_of(extractor), space)


def moments_of(extractor: Extractor, split: Split, data: Splits, ctx: Context) -> Moments:
    """Return the moments of a split, summed once a run."""
    pool: Pool = getattr(data, split)

    def make() -> Arrays:
        moments = checked_moments(extractor, ctx.features(extractor, pool))
        return {"n": np.array([moments.n]), "mean": moments.mean, "scatter": moments.scatter}

    arrays = ctx.once(extractor, make, of=f"moments of {split} {data.digest}")
    return Moments(int(arrays["n"][0]), arrays["mean"], arrays["scatter"])


def checked_moments(extractor: Extractor, features: Float[np.ndarray, "n d"]) -> Moments:
    """Return the moments of more rows than features."""
    n, d = features.shape
    if n <= d:
        raise BadInput(
            f"Frechet needs more rows than the {d} features of {name_of(extractor)}, but got {n};"
            " give it more rows, or name a PCA: --pca 64, or PCA(extractor, dims=64) in Python."
        )
    return Moments.of(features)


@dataclass(frozen=True, eq=False)
class Moments:
    """Number of rows, mean, and scatter sum_i (x_i - mean)(x_i - mean)^T, in float64; sums of parts can be merged."""

    n: int
    mean: Float64[np.ndarray, " d"]
    scatter: Float64[np.ndarray, "d d"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "n d"]) -> Moments:
        """Return the moments of all rows, summed in chunks."""
        parts = []
        for chunk in slices(len(features), CHUNK):
            x = features[chunk].astype(np.float64)
            mean = x.mean(axis=0)
            x -= mean
            parts.append(cls(len(x), mean, x.T @ x))
        total = parts[0]
        for part in parts[1:]:
            total = total.merge(part)
        return total

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets together (Chan, Golub and LeVeque 1979)."""
        n, gap = self.n + other.n, other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(gap, gap) * (self.n * other.n / n)
        return Moments(n, self.mean + gap * (other.n / n), scatter)

    @property
    def covariance(self) -> Float64[np.ndarray, "d d"]:
        """The covariance, with divisor n - 1."""
        return self.scatter / (self.n - 1)

    def distance(self, other: Moments) -> float:
        """Return the squared Frechet distance."""
        return frechet_distance(self.mean, self.covariance, other.mean, other.covariance)


def _distance(moments: Moments, target: Statistics) -> float:
    return frechet_distance(moments.mean, moments.covariance, target.mean, target.covariance)


def frechet_distance(
    mu_a: Float[np.ndarray, " d"], cov_a: Float[np.ndarray, "d d"], mu_b: Float[np.ndarray, " d"], cov_b: Float[np.ndarray, "d d"]
) -> float:
    """Return |mu_a - mu_b|^2 + Tr A + Tr B - 2 Tr (A B)^(1/2), the squared distance, in float64.

    With A = L L^T, the eigenvalues of A B are those of the symmetric L^T B L. A singular A gives way to B; if both are
    singular, A's eigenvectors stand in for L, so that nothing has to be added to the diagonal.
    """
    a, b = np.asarray(cov_a, np.float64), np.asarray(cov_b, np.float64)
    difference = np.asarray(mu_a, np.float64) - mu_b
    root, middle = _factor(a, b)
    eigenvalues = scipy.linalg.eigvalsh(root.T @ middle @ root, overwrite_a=True, check_finite=False)
    cross = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(difference @ difference + np.trace(a) + np.trace(b) - 2 * cross)


def frechet_distance_of_rows(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Return the squared Frechet distance of two sets; with fewer rows than features it never forms a covariance.

    With A = X^T X and B = Y^T Y, Tr (A B)^(1/2) is the nuclear norm of X Y^T.
    """
    if min(len(a), len(b)) > a.shape[1]:
        return Moments.of(a).distance(Moments.of(b))
    mu_a, mu_b = a.mean(axis=0, dtype=np.float64), b.mean(axis=0, dtype=np.float64)
    x, y = (a - mu_a) / np.sqrt(len(a) - 1), (b - mu_b) / np.sqrt(len(b) - 1)
    cross = scipy.linalg.svdvals(x @ y.T, overwrite_a=True).sum()
    return float((mu_a - mu_b) @ (mu_a - mu_b) + np.square(x).sum() + np.square(y).sum() - 2 * cross)


def _factor(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return L with L L^T one of the two matrices, and the other matrix."""
    for one, other in ((a, b), (b, a)):
        try:
            return scipy.linalg.cholesky(one, lower=True, check_finite=False), other
        except scipy.linalg.LinAlgError:
            continue
    values, vectors = scipy.linalg.eigh(a)
    return vectors * np.sqrt(np.maximum(values, 0)), b
