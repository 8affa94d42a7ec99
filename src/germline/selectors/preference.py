"""Preference sampling: the rows that several scorers like best together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool

BLOCK = 256


@dataclass(frozen=True)
class Preference:
    """Choose the ``n`` rows that are best by the columns ``by`` together, at most ``cap`` of each prompt.

    "rank_sum": the sum of weighted ranks, scale-free. "z_score": the sum of weighted (s - mean) / deviation over the offer.
    "thresholds": rows at or above a floor in every column, best first by the first column. "pareto": fronts of rows that no row beats,
    front after front, each in the order of rank sums. Equals go in the order of conditions, then of origin.

    Images of one colour are never chosen and count in no rank: half-precision VAEs make black ones.

    Source: preference sampling of arXiv 2502.09963 (RSIDiff), which does not say how scores are combined: the modes and the cap are ours.

    Attributes:
        n: rows.
        by: columns, each with its scorer's name.
        mode: how scores are combined.
        weights: of the columns, for ranks and z-scores; all 1 when not given.
        floors: for thresholds, one a column.
        floors_are: scores, or quantiles of the offer from 0 to 1.
        cap: rows a prompt, so that one prompt does not fill the set; None for no cap.
        allow_fewer: take fewer than n, and say so, where floors, cap or blank images leave fewer.

    Raises:
        BadInput: no such column, NaN, fewer rows than n, a column that does not vary (z_score), or a field out of range.
    """

    n: int
    by: tuple[str, ...]
    mode: Literal["rank_sum", "z_score", "thresholds", "pareto"] = "rank_sum"
    weights: tuple[float, ...] | None = None
    floors: tuple[float, ...] | None = None
    floors_are: Literal["scores", "quantiles"] = "scores"
    cap: int | None = 1
    allow_fewer: bool = False

    def __post_init__(self) -> None:
        if self.n < 1 or not self.by or (self.cap is not None and self.cap < 1):
            raise BadInput(
                f"Preference needs n and cap from 1 and a column, but got n = {self.n}, cap = {self.cap}, {len(self.by)} columns."
            )
        for what, values in (("weights", self.weights), ("floors", self.floors)):
            if values is not None and len(values) != len(self.by):
                raise BadInput(f"Preference needs one of {what} for each of {len(self.by)} columns, but got {len(values)}.")
        if self.weights is not None and not (all(np.isfinite(self.weights)) and min(self.weights) >= 0 and any(self.weights)):
            raise BadInput(f"Preference: weights must be 0 or more, and one above 0, but are {self.weights}.")
        if (self.floors is not None) != (self.mode == "thresholds"):
            raise BadInput(f"Preference: floors go with thresholds, but the mode is {self.mode} and the floors are {self.floors}.")

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return ``n`` rows, best first."""
        seen = np.flatnonzero(coloured(pool))
        scores = self._scores(pool)[seen]
        order, kept = self._order(scores, pool.take(seen))
        rows = seen[order[kept[order]]]
        if self.cap is not None:
            rows = rows[_nth(pool.condition[rows]) < self.cap]
        if len(rows) < self.n and not (self.allow_fewer and len(rows)):
            where = "" if self.cap is None else f" with {self.cap} a prompt at most"
            raise BadInput(
                f"Preference was asked for {self.n} rows, but {len(rows)} of {len(pool)} are left{where}:"
                f" {len(pool) - len(seen)} are of one colour, {int((~kept).sum())} below a floor;"
                " lower n or floors, raise cap, or allow_fewer."
            )
        if len(rows) < self.n:
            what = f"{len(rows)} rows, all that are left of {len(pool)}, not the {self.n} asked for"
            warnings.warn(f"Preference: generation {ctx.generation} takes {what}.", stacklevel=2)
        best: np.ndarray = rows[: self.n].astype(np.int64)
        return best

    def _scores(self, pool: Pool) -> Float64[np.ndarray, "n s"]:
        for name in self.by:
            if name not in pool.columns:
                have = ", ".join(sorted(pool.columns)) or "none"
                raise BadInput(f"Preference needs the column {name!r}, but the pool's columns are: {have}. Add the scorer of that name.")
            if (bad := np.flatnonzero(~np.isfinite(pool.columns[name]))).size:
                raise BadInput(f"Preference: the score {name!r} of row {bad[0]} is {pool.columns[name][bad[0]]}; scores must be numbers.")
        return np.stack([np.asarray(pool.columns[name], np.float64) for name in self.by], axis=1)

    def _order(self, scores: Float64[np.ndarray, "n s"], pool: Pool) -> tuple[Int64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Return all rows, best first, and which are above the floors."""
        weights = np.array(self.weights or [1.0] * len(self.by))
        kept: np.ndarray = np.ones(len(scores), bool)
        first = np.zeros(len(scores))
        if not len(scores):
            return np.zeros(0, np.int64), kept
        if self.mode == "z_score":
            if (flat := np.flatnonzero(np.ptp(scores, axis=0) == 0)).size:
                raise BadInput(f"Preference: the score {self.by[flat[0]]!r} is the same in every row, so it has no z-score; leave it out.")
            best = ((scores - scores.mean(axis=0)) / scores.std(axis=0)) @ weights
        elif self.mode == "thresholds":
            assert self.floors is not None
            floors = np.array(self.floors)
            if self.floors_are == "quantiles":
                if not ((floors >= 0) & (floors <= 1)).all():
                    raise BadInput(f"Preference: quantiles are from 0 to 1, but are {self.floors}.")
                floors = np.array([np.quantile(column, floor) for column, floor in zip(scores.T, floors, strict=True)])
            best, kept = scores[:, 0], np.asarray((scores >= floors).all(axis=1))
        else:
            best = ranks(scores) @ weights
            first = fronts(scores) if self.mode == "pareto" else first
        _, condition = np.unique(pool.condition, return_inverse=True)
        return np.lexsort((pool.origin[:, 1], pool.origin[:, 0], condition, -best, first)), kept


def ranks(scores: Float[np.ndarray, "n s"]) -> Float64[np.ndarray, "n s"]:
    """Return each column's ranks, 1 for the lowest score; equals share the mean of their ranks."""
    from scipy.stats import rankdata  # slow to import

    found: np.ndarray = rankdata(scores, axis=0)
    return found


def fronts(scores: Float[np.ndarray, "n s"]) -> Int64[np.ndarray, " n"]:
    """Return each row's front: 0 where no row is as good in every column and better in one, 1 once those are gone, and so on."""
    n = len(scores)
    beaten, out = np.zeros(n, np.int64), np.full(n, -1, np.int64)
    for start in range(0, n, BLOCK):
        beaten += _beats(scores[start : start + BLOCK], scores).sum(axis=0)
    number = 0
    while (front := np.flatnonzero((beaten == 0) & (out < 0))).size:
        out[front] = number
        number += 1
        for start in range(0, len(front), BLOCK):
            beaten -= _beats(scores[front[start : start + BLOCK]], scores).sum(axis=0)
    return out


def coloured(pool: Pool) -> Bool[np.ndarray, " n"]:
    """Return which images have more than one colour."""
    parts = [(images != images[:, :1, :1]).any(axis=(1, 2, 3)) for images in pool.images.blocks(BLOCK)]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def _beats(a: Float[np.ndarray, "m s"], b: Float[np.ndarray, "n s"]) -> Bool[np.ndarray, "m n"]:
    """Return whether row i of a is as good as row j of b in every column, and better in one."""
    as_good, better = np.ones((len(a), len(b)), bool), np.zeros((len(a), len(b)), bool)
    for x, y in zip(a.T, b.T, strict=True):
        as_good &= x[:, None] >= y
        better |= x[:, None] > y
    return as_good & better


def _nth(labels: np.ndarray) -> Int64[np.ndarray, " n"]:
    """Return how many equal labels stand before each."""
    _, number = np.unique(labels, return_inverse=True)
    order = np.argsort(number, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(number))])[number[order]] if len(number) else np.zeros(0, np.int64)
    out = np.empty(len(number), np.int64)
    out[order] = np.arange(len(number)) - start
    return out
