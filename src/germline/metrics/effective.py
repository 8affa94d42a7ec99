"""The effective number of directions in which rows lie: the exponential of an entropy of eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from germline.core.errors import BadInput
from germline.core.noise import bootstrap


@dataclass(frozen=True, eq=False)
class Effective:
    """exp H_q of the eigenvalues p of rho = X^T X / trace, with H_1 = -sum p log p and H_q = log(sum p^q) / (1 - q).

    ``eigenvalues`` are those of X^T X / n, largest first. ``rows`` is each row's share in H_q: their mean is H_q, and they differ from it
    by its first-order change with that row's weight, d H_q = tr(f(rho) d rho). So resampling them gives the noise of H_q without
    decomposing again; it leaves out the bias from few rows.
    """

    value: float
    eigenvalues: Float64[np.ndarray, " d"]
    rows: Float64[np.ndarray, " n"]

    @classmethod
    def of(cls, x: Float64[np.ndarray, "n d"], order: float = 1.0) -> Effective:
        """Return it for the rows of ``x``, through the smaller of X^T X and X X^T.

        Raises:
            BadInput: every row is 0, or the order is not above 0.
        """
        n, d = x.shape
        values, vectors = np.linalg.eigh(x.T @ x if d <= n else x @ x.T)
        values = np.maximum(values, 0)
        trace = values.sum()
        if not trace > 0 or not 0 < order < np.inf:
            raise BadInput(
                f"An effective number of directions needs rows that differ from 0 and an order above 0, but got {n} rows, order {order:g}."
            )
        p = values / trace
        # (n, r): the part of each row's squared length, over the trace, along each direction; its columns have the mean p / n * n
        along = n / trace * (np.square(x @ vectors) if d <= n else np.square(vectors) * values)
        entropy, slope = _renyi(p, order)
        # mean_i along_i = p, so the second term is 0 on average: it takes back what a long row adds to the trace
        change = along @ slope - along.sum(axis=1) * (p @ slope)
        return cls(float(np.exp(entropy)), values[::-1] / n, entropy + change)

    def interval(self) -> tuple[float, float]:
        """Return the ends of the 95 % interval."""
        low, high = bootstrap(self.rows)
        return float(np.exp(low)), float(np.exp(high))


def _renyi(p: Float[np.ndarray, " d"], order: float) -> tuple[float, Float64[np.ndarray, " d"]]:
    """Return H_q and dH_q / dp; directions without variance have no part in either."""
    some = p > p.max() * len(p) * np.finfo(np.float64).eps
    slope = np.zeros(len(p))
    if order == 1:
        slope[some] = -np.log(p[some])
        return float(p @ slope), slope
    total = np.power(p[some], order).sum()
    slope[some] = order / (1 - order) * np.power(p[some], order - 1) / total
    return float(np.log(total) / (1 - order)), slope
