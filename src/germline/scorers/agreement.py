"""How surely a row shows what it was asked to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Float, Float64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool


class Rater(Protocol):
    """Tells classes apart; fitted on the judge split."""

    def log_probabilities(self, pool: Pool, ctx: Context) -> Float[np.ndarray, "n c"]:
        """Return the log-probability of every class, for every row."""
        ...


@dataclass(frozen=True)
class Agreement:
    """The log-probability, at most 0, that the classifier gives a row's own class.

    Give it another classifier than the one that measures agreement and distances: what is selected for stops being a measure. Ours,
    as a stand-in for a person's preference.

    Raises:
        BadInput: conditions that are no classes of the data set.
    """

    classifier: Rater
    name: ClassVar[str] = "agreement"

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one log-probability a row."""
        classes = len(ctx.data.classes)
        condition = pool.condition
        if not np.issubdtype(condition.dtype, np.integer) or condition.min() < 0 or condition.max() >= classes:
            raise BadInput(
                f"Agreement needs conditions that are classes from 0 to {classes - 1}, but got {condition.dtype} such as {condition[0]!r};"
                " prompts need a prompt scorer."
            )
        log_probabilities = np.asarray(self.classifier.log_probabilities(pool, ctx), np.float64)
        own: np.ndarray = log_probabilities[np.arange(len(pool)), condition]
        return own
