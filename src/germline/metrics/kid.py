"""Kernel distance of two sets in the features of a named extractor. It is the KID only in Inception's features."""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import slices
from germline.core.noise import NORMAL
from germline.core.pool import Pool
from germline.core.protocols import Extractor

TILE = 2048


@dataclass(frozen=True)
class KID:
    """KD-<extractor>: unbiased squared maximum mean discrepancy of S_g and of T_g to a real set; the other real set is the reference.

    Its kernel is (x.y / d + 1)^3. Unlike a Frechet distance it has no bias from the number of rows: equal laws give 0 on average, so
    below 0 about as often as above. The papers' mean over random subsets has the same expectation; all rows at once vary less. The
    interval is value +- 1.96 standard errors, from the delete-one jackknife over the rows of both sets; it is too wide where the laws
    are equal. Two sets with equal numbers of every class are more alike than draws: their value lies somewhat below 0, so read samples
    that are class-balanced beside the reference, whose splits are.

    Source: arXiv 1801.01401, Section 4.1; the jackknife of U-statistics, Arvesen 1969.
    """

    extractor: Extractor
    against: Literal["held_out", "real"] = "held_out"

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the distance of samples, training set and reference.

        Raises:
            BadInput: a set has fewer than two rows.
        """
        data, ctx, who = evidence.data, evidence.ctx, name_of(self.extractor)
        splits = {"held_out": data.held_out, "real": data.real}
        target = ctx.features(self.extractor, splits.pop(self.against))
        own = ctx.once(self, lambda: {"sums": other_sums(target)}, of=f"{self.against} {data.digest}")["sums"]

        def distance(pool: Pool) -> Float64[np.ndarray, " 2"]:
            return np.array(kernel_distance(ctx.features(self.extractor, pool), target, own))

        (other,) = splits.values()
        reference = ctx.once(self, lambda: {"distance": distance(other)}, of=f"reference {data.digest}")["distance"]
        found = [("samples", evidence.samples, distance(evidence.samples)), ("training", evidence.training, distance(evidence.training))]
        return [
            Measurement(
                f"KD-{who}",
                float(value),
                of,
                len(pool),
                who,
                d=target.shape[1],
                low=float(value - NORMAL * error),
                high=float(value + NORMAL * error),
                better="low",
            )
            for of, pool, (value, error) in (*found, ("reference", other, reference))
        ]


def kernel_distance(
    a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"], b_sums: Float64[np.ndarray, " m"] | None = None
) -> tuple[float, float]:
    """Return the unbiased MMD^2 of two sets and its jackknife standard error, in float64.

    MMD^2 = sum_{i != j} k(a_i, a_j) / (n (n - 1)) + sum_{i != j} k(b_i, b_j) / (m (m - 1)) - 2 sum_{ij} k(a_i, b_j) / (n m); each row's
    sums give the value without that row. ``b_sums`` are ``other_sums(b)``, where known.

    Raises:
        BadInput: a set has fewer than two rows.
    """
    n, m = len(a), len(b)
    if min(n, m) < 2:
        raise BadInput(f"A kernel distance needs at least two rows in both sets, but got {n} and {m}; give more rows.")
    within_a, within_b = other_sums(a), other_sums(b) if b_sums is None else b_sums
    across_a, across_b = _across(a, b)
    mean_a, mean_b, cross = within_a.sum() / (n * (n - 1)), within_b.sum() / (m * (m - 1)), across_a.sum() / (n * m)
    variance = 0.0
    for size, other, within, across in ((n, m, within_a, across_a), (m, n, within_b, across_b)):
        if size > 2:
            without = (within.sum() - 2 * within) / ((size - 1) * (size - 2)) - 2 * (across.sum() - across) / ((size - 1) * other)
            variance += (size - 1) * without.var()
    return float(mean_a + mean_b - 2 * cross), sqrt(variance)


def other_sums(a: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Return for every row the sum of its kernel with every other row; of two tiles that mirror each other, one is computed."""
    sums = np.zeros(len(a))
    for rows in slices(len(a), TILE):
        for columns in slices(len(a), TILE):
            if rows.start <= columns.start:
                kernel = _kernel(a[rows], a[columns])
                if rows == columns:
                    np.fill_diagonal(kernel, 0)
                else:
                    sums[columns] += kernel.sum(axis=0)
                sums[rows] += kernel.sum(axis=1)
    return sums


def _across(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " m"]]:
    """Return the sums of k(a_i, b_j) over j, and over i, one tile at a time."""
    over_b, over_a = np.zeros(len(a)), np.zeros(len(b))
    for rows in slices(len(a), TILE):
        for columns in slices(len(b), TILE):
            kernel = _kernel(a[rows], b[columns])
            over_b[rows] += kernel.sum(axis=1)
            over_a[columns] += kernel.sum(axis=0)
    return over_b, over_a


def _kernel(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "n m"]:
    """Return (x.y / d + 1)^3."""
    base: np.ndarray = (np.asarray(a, np.float64) / a.shape[1]) @ np.asarray(b, np.float64).T
    base += 1
    kernel: np.ndarray = np.square(base)
    kernel *= base
    return kernel
