"""A selector that sees only so many rows of each prompt."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Selector


@dataclass(frozen=True)
class Capped:
    """Let ``selector`` choose among at most ``cap`` rows of each class or prompt, drawn at random: no prompt can fill the set. Ours.

    ``Preference`` caps by itself, since it knows which rows of a prompt are best.

    Raises:
        BadInput: ``cap`` is below 1.
    """

    selector: Selector
    cap: int = 1

    def __post_init__(self) -> None:
        if self.cap < 1:
            raise BadInput(f"Capped needs a cap of 1 or more, but got {self.cap}.")

    def __call__(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " m"]:
        """Return the selector's rows, in its order of choice."""
        order = ctx.rng("select/capped").permutation(len(pool))
        _, label = np.unique(pool.condition[order], return_inverse=True)
        together = np.argsort(label, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(label))])[:-1]
        place = np.empty(len(pool), np.int64)
        place[together] = np.arange(len(pool)) - starts[label[together]]
        rows = np.sort(order[place < self.cap])
        chosen: np.ndarray = rows[self.selector(pool.take(rows), ctx)]
        return chosen
