"""The strengths of three arms or more, from who was preferred over whom (Bradley and Terry 1952)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, stdtrit

from germline.core.intervals import ENOUGH
from germline.studio.shares import Judged


@dataclass(frozen=True)
class Strength:
    """An arm's log-odds of being preferred over the arm that all are measured by, whose own is 0, with a 95 % interval where there is one.

    ``share``, ``share_low`` and ``share_high`` say the same as a share of wins over that arm.
    """

    question: str
    arm: str
    over: str
    strength: float
    low: float | None = None
    high: float | None = None

    @property
    def share(self) -> float:
        """How often it is preferred over that arm, ties half."""
        return float(expit(self.strength))

    @property
    def share_low(self) -> float | None:
        """The interval's lower end as a share."""
        return None if self.low is None else float(expit(self.low))

    @property
    def share_high(self) -> float | None:
        """The interval's upper end as a share."""
        return None if self.high is None else float(expit(self.high))


def strengths(answers: Sequence[Judged], over: str) -> list[Strength] | None:
    """Return the strength of each arm in answers to one question: P(i over j) = 1 / (1 + exp(s_j - s_i)), by maximum likelihood.

    A tie is half a win for either (ours; Davidson 1970 gives ties a parameter of their own). The variance is the sandwich
    H^-1 (M_raters + M_prompts - M_both) H^-1 of Cameron, Gelbach and Miller (2011), M the sums of scores over clusters with the factor
    G / (G - 1); where an arm's is below the larger of its one-way variances, that one stands, as in ``over_two_ways``. The half-width
    is t_{G - 1} standard errors, G the fewer of raters and prompts; with fewer than three of either there is no interval.

    None where the likelihood has no maximum: where arms can be parted so that none of one part was ever preferred, or tied, over one of
    the other (Ford 1957). The strongest is then infinitely strong, and a win share says all there is.

    Args:
        answers: to one question.
        over: the arm whose strength is 0.
    """
    arms = list(dict.fromkeys(name for one in answers for name in (one.arm, one.against)))
    number = {arm: place for place, arm in enumerate([over, *(arm for arm in arms if arm != over)])}
    won = np.array([one.won for one in answers])
    a, b = (np.array([number[name] for name in names]) for names in zip(*((one.arm, one.against) for one in answers), strict=True))
    if not _connected(a, b, won, len(number)):
        return None
    design = np.zeros((len(won), len(number)))
    design[np.arange(len(won)), a] = 1
    design[np.arange(len(won)), b] = -1
    design = design[:, 1:]  # that of ``over`` is 0
    found = _fitted(design, won)
    half = _half_widths(design, won, found, [one.rater for one in answers], [one.prompt for one in answers])
    question = answers[0].question
    rest = [
        Strength(question, arm, over, float(s), None if half is None else float(s - half[i]), None if half is None else float(s + half[i]))
        for i, (arm, s) in enumerate(zip(list(number)[1:], found, strict=True))
    ]
    return [Strength(question, over, over, 0.0), *rest]


def _connected(a: np.ndarray, b: np.ndarray, won: np.ndarray, arms: int) -> bool:
    beaten = np.zeros((arms, arms))
    np.add.at(beaten, (a, b), won)
    np.add.at(beaten, (b, a), 1 - won)
    count, _ = connected_components(beaten > 0, connection="strong")
    return int(count) == 1


def _fitted(design: Float64[np.ndarray, "n p"], won: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " p"]:
    def loss(s: np.ndarray) -> tuple[float, np.ndarray]:
        z = design @ s
        return float(np.logaddexp(0, z).sum() - won @ z), design.T @ (expit(z) - won)

    def curvature(s: np.ndarray) -> np.ndarray:
        return _information(design, s)

    fit = minimize(loss, np.zeros(design.shape[1]), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9})
    found: np.ndarray = fit.x
    return found


def _information(design: np.ndarray, s: np.ndarray) -> Float64[np.ndarray, "p p"]:
    p = expit(design @ s)
    found: np.ndarray = design.T @ (design * (p * (1 - p))[:, None])
    return found


def _half_widths(
    design: np.ndarray, won: np.ndarray, s: np.ndarray, raters: Sequence[str], prompts: Sequence[str]
) -> Float64[np.ndarray, " p"] | None:
    by_rater, by_prompt = (np.unique(np.array(names), return_inverse=True)[1] for names in (raters, prompts))
    fewest = int(min(by_rater.max(), by_prompt.max())) + 1
    if fewest < ENOUGH:
        return None
    inverse = np.linalg.inv(_information(design, s))
    scores = design * (won - expit(design @ s))[:, None]
    if np.allclose(scores, 0, atol=1e-6):  # every answer a tie: their spread says nothing
        return None
    both = np.unique(by_rater * (by_prompt.max() + 1) + by_prompt, return_inverse=True)[1]
    one, other, shared = (np.diag(inverse @ _sums(scores, groups) @ inverse) for groups in (by_rater, by_prompt, both))
    variance = np.maximum(one + other - shared, np.maximum(one, other))
    found: np.ndarray = stdtrit(fewest - 1, 0.975) * np.sqrt(variance)
    return found


def _sums(scores: np.ndarray, groups: np.ndarray) -> Float64[np.ndarray, "p p"]:
    sums = np.zeros((int(groups.max()) + 1, scores.shape[1]))
    np.add.at(sums, groups, scores)
    found: np.ndarray = len(sums) / (len(sums) - 1) * sums.T @ sums
    return found
