"""Where the rows of a training set came from."""

from math import nan

import numpy as np

from germline.core.generation import Generation, column_of
from germline.core.pool import GIVEN, REAL, UNKNOWN


def pretrained(generation: Generation) -> bool:
    """Return whether this is a pretrained model as it is: its record lists the real rows, but nothing here was trained on them."""
    return generation.number == 0 and generation.images_seen() == 0


def counts(generation: Generation) -> dict[int, int]:
    """Return how many rows of T_g each generation made, in order; -1 are real, -2 of unknown origin, -3 given.

    None if T_g is unknown, or the model is pretrained.
    """
    if not generation.training_known or pretrained(generation):
        return {}
    chosen = column_of(generation.choice, "generation")[column_of(generation.choice, "order") >= 0]
    made, rows = np.unique(chosen, return_counts=True)
    return {int(number): int(n) for number, n in zip(made, rows, strict=True)}


def real_share(generation: Generation) -> float:
    """Return the share of real rows in T_g; NaN if there is no T_g, or it, or the origin of some of its rows, is unknown."""
    rows = counts(generation)
    return rows.get(REAL, 0) / sum(rows.values()) if rows and not {UNKNOWN, GIVEN} & set(rows) else nan


def origin_name(made: int) -> str:
    """Return where a row came from, in words."""
    return {REAL: "real", UNKNOWN: "unknown origin", GIVEN: "the given pool"}.get(made, f"generation {made}")
