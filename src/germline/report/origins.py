"""Where the rows of a training set came from."""

import numpy as np

from germline.core.generation import Generation, column_of
from germline.core.pool import REAL


def counts(generation: Generation) -> dict[int, int]:
    """Return how many rows of T_g each generation made, in order; -1 are the real ones."""
    chosen = column_of(generation.choice, "generation")[column_of(generation.choice, "order") >= 0]
    made, rows = np.unique(chosen, return_counts=True)
    return {int(number): int(n) for number, n in zip(made, rows, strict=True)}


def real_share(generation: Generation) -> float:
    """Return the share of real rows in T_g."""
    rows = counts(generation)
    return rows.get(REAL, 0) / sum(rows.values())


def origin_name(made: int) -> str:
    """Return where a row came from, in words."""
    return "real" if made == REAL else f"generation {made}"
