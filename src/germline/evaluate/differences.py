"""Scores in pairs: the mean of each prompt's images, and how far it moved from one model to another, with the prompt as the unit.

Means over a prompt's images, then over prompts; differences of one prompt's means; bootstrap over prompts (Efron 1979). The layout is
that of the RSIDiff paper's evaluation, arXiv 2502.09963 (ten images a prompt); units, pairs and intervals are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped

from germline.core.noise import bootstrap

ENOUGH = 10  # prompts; a percentile bootstrap of fewer is far too narrow, so there is none
ALL = "all"


@dataclass(frozen=True)
class Mean:
    """A mean over prompts with its 95 % interval; None under ten prompts."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: Float64[np.ndarray, " prompts"]) -> Mean:
        """Return the mean of one value a prompt."""
        if len(values) < ENOUGH:
            return cls(float(values.mean()))
        low, high = bootstrap(values)
        return cls(float(values.mean()), low, high)

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Line:
    """What one scorer says of one subject in one category.

    Attributes:
        scorer: its name.
        subject: the subject's name.
        category: of the prompts, or "all".
        prompts: how many.
        mean: of the scores.
        against: the subject that it is compared with; None where it is compared with none.
        difference: to it, prompt by prompt.
        better: the share of prompts whose mean is higher than there; ties count half.
    """

    scorer: str
    subject: str
    category: str
    prompts: int
    mean: Mean
    against: str | None = None
    difference: Mean | None = None
    better: float | None = None


def lines(
    scorer: str,
    scores: Mapping[str, Float64[np.ndarray, "prompts images"]],
    against: Mapping[str, str | None],
    categories: Shaped[np.ndarray, " prompts"],
) -> list[Line]:
    """Return the lines of a scorer: of every subject over all prompts, then by category, where there are two or more.

    ``scores`` are those of each subject, a row a prompt, in the order of ``categories``.
    """
    means = {name: np.asarray(values, np.float64).mean(axis=1) for name, values in scores.items()}
    parts = [(ALL, np.arange(len(categories))), *((name, np.flatnonzero(categories == name)) for name in kinds(categories))]
    return [_line(scorer, name, category, rows, means, against[name]) for category, rows in parts for name in scores]


def kinds(categories: Sequence[str] | np.ndarray) -> list[str]:
    """Return the categories in the order in which they come first; none where all prompts are of one."""
    found = list(dict.fromkeys(str(name) for name in categories))
    return found if len(found) > 1 else []


def _line(
    scorer: str, subject: str, category: str, rows: np.ndarray, means: Mapping[str, Float64[np.ndarray, " prompts"]], other: str | None
) -> Line:
    own = means[subject][rows]
    if other is None:
        return Line(scorer, subject, category, len(rows), Mean.of(own))
    moved = own - means[other][rows]
    better = float((np.sign(moved) + 1).mean() / 2)
    return Line(scorer, subject, category, len(rows), Mean.of(own), other, Mean.of(moved), better)
