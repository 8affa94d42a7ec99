"""Equally many rows of every class."""

import numpy as np

from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool
from germline.core.seeds import rng


def balanced(pool: Pool, per_class: int, who: str) -> Pool:
    """Return the rows of every class, ``per_class`` of each or as many as the smallest class has, class after class.

    They are drawn by a fixed seed: a training set may lie in order of choice, and its first rows are not like its last.

    Raises:
        BadInput: conditions that are no classes, rows without a label, fewer than two classes, or ``per_class`` below 2.
    """
    labels = pool.condition
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise BadInput(f"{who} needs a class for every row, but got {labels.dtype} such as {labels[0]!r}; give rows with labels.")
    classes, counts = np.unique(labels, return_counts=True)
    size = min(per_class, int(counts.min()))
    if len(classes) < 2 or size < 2:
        raise BadInput(
            f"{who} compares 2 classes or more of 2 rows or more, but got {len(classes)} classes, the smallest of {counts.min()}."
        )
    order = rng(0, REAL, "metric/by_class").permutation(len(pool))
    return pool.take(np.concatenate([order[labels[order] == label][:size] for label in classes]))
