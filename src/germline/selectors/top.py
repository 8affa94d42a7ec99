"""The rows with the best scores."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


@dataclass(frozen=True)
class Top:
    """Choose the ``n`` rows with the largest value in the column ``by``; equal scores are ordered by a seeded draw.

    ``per_class`` gives every class that is on offer the same number, the remainder one each to the lowest classes.
    """

    n: int
    by: str
    per_class: bool = False

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows, best first."""
        if self.by not in pool.columns:
            have = ", ".join(sorted(pool.columns)) or "none"
            raise BadInput(f"Top needs the column {self.by!r}, but the pool's columns are: {have}. Add the scorer of that name.")
        if not 1 <= self.n <= len(pool):
            raise BadInput(f"Top was asked for {self.n} of {len(pool)} rows; give an n from 1 to what is on offer.")
        best_first = np.lexsort((ctx.rng("select/top").permutation(len(pool)), -pool.columns[self.by]))
        if not self.per_class:
            return best_first[: self.n]
        classes, label = np.unique(pool.condition, return_inverse=True)
        quota = self.n // len(classes) + (np.arange(len(classes)) < self.n % len(classes))
        short = np.flatnonzero(np.bincount(label) < quota)
        if len(short):
            who, has = classes[short[0]], int((label == short[0]).sum())
            raise BadInput(
                f"Top needs {quota[short[0]]} rows of each class for n = {self.n}, but class {who} offers {has};"
                " lower n or choose without per_class."
            )
        keep = np.zeros(len(pool), bool)
        for number, count in enumerate(quota):
            keep[np.flatnonzero(label[best_first] == number)[:count]] = True
        return best_first[keep]
