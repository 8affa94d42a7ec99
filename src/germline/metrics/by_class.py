"""Equally many rows of every class, and metrics that judge three sets by them."""

import warnings
from collections.abc import Callable

import numpy as np

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
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


def each_set(evidence: Evidence, who: str, judged: Callable[[str, Pool], list[Measurement]]) -> list[Measurement]:
    """Return what ``judged(of, pool)`` says of samples, training set and, for reference, held-out rows.

    A training set that cannot be judged, or that lost a class and so compares with nothing, is left out with a warning: selection may
    leave a class one row or none, and the samples' numbers tell what came of it.
    """
    out = judged("samples", evidence.samples)
    try:
        lost = set(evidence.samples.condition.tolist()) - set(evidence.training.condition.tolist())
        if lost:
            raise BadInput(f"{who} compares sets of the same classes, but the training set has no row of {sorted(lost)}.")
        out += judged("training", evidence.training)
    except BadInput as error:
        warn_of_training(evidence, who, error)
    return out + judged("reference", evidence.data.held_out)


def warn_of_training(evidence: Evidence, who: str, error: BadInput) -> None:
    """Say that a training set cannot be judged; samples and reference keep their numbers."""
    warnings.warn(f"generation {evidence.ctx.generation} goes on without its training set in {who}: {error}", stacklevel=3)
