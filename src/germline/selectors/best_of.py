"""Curation: of every few samples of a condition, one is kept."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


@dataclass(frozen=True)
class BestOf:
    """Choose ``n`` rows, each one of ``k`` rows of its condition drawn at random: row i of the k with probability softmax(score / T)_i.

    The score is the column ``by``, T the ``temperature``; T = 0 takes the best. Every condition gets the same number of rows, the
    remainder one each to the lowest. No row is offered twice, so a condition needs k rows for each that is kept.
    As k grows, the law of what is kept tends to p(x) exp(score / T) / E_p[exp(score / T)].

    Source: Ferbach et al., "Self-Consuming Generative Models with Curated Data Provably Optimize Human Preferences",
    arXiv 2407.09499: a (generalised) Bradley-Terry choice among K samples, with T = 1. Groups within a condition, quotas and T are ours.

    Raises:
        BadInput: no such column, or too few rows of a condition.
    """

    n: int
    by: str
    k: int = 4
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.n < 1 or self.k < 1 or not self.temperature >= 0:
            raise BadInput(f"BestOf needs n and k from 1 and a temperature from 0, but got {self.n}, {self.k} and {self.temperature}.")

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows, condition after condition, in the order they were drawn."""
        if self.by not in pool.columns:
            have = ", ".join(sorted(pool.columns)) or "none"
            raise BadInput(f"BestOf needs the column {self.by!r}, but the pool's columns are: {have}. Add the scorer of that name.")
        conditions, label = np.unique(pool.condition, return_inverse=True)
        chosen = []
        for number, condition in enumerate(conditions):
            quota = self.n // len(conditions) + (number < self.n % len(conditions))
            rows = np.flatnonzero(label == number)
            if len(rows) < quota * self.k:
                raise BadInput(
                    f"BestOf needs {quota * self.k} rows of condition {condition}, {self.k} for each of {quota}, but {len(rows)} are there;"
                    " let the sampler make k times n rows, or lower n or k."
                )
            rng = ctx.rng("select/best_of", number)
            groups = rng.permutation(rows)[: quota * self.k].reshape(quota, self.k)
            chosen.append(groups[np.arange(quota), choose(pool.columns[self.by][groups], self.temperature, rng.gumbel(size=groups.shape))])
        return np.concatenate(chosen)


def choose(scores: Float[np.ndarray, "g k"], temperature: float, gumbel: Float[np.ndarray, "g k"]) -> Int64[np.ndarray, " g"]:
    """Return a place in each group: argmax(score / T + Gumbel noise), i with probability softmax(score / T)_i; T = 0 is argmax."""
    picked: np.ndarray = (scores / temperature + gumbel if temperature > 0 else scores).argmax(axis=1)
    return picked.astype(np.int64)
