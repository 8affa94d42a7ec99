"""What an arm has cost: images, network evaluations, and real rows. Arms at one budget of images may differ in the other two."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from germline.chain import Chain
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.report.origins import pretrained

M = TypeVar("M")


@dataclass(frozen=True)
class Spent:
    """Of generations ``first`` to the last of a run.

    Attributes:
        images: rows seen in training, repeats counted; None where a trainer states no budget.
        rows: rows sampled.
        evaluations: network evaluations of sampling: rows times what a row costs, twice as much where a model is a pair.
        real_rows: distinct real rows, and so labels, that were trained on: in R or from the reserve.
    """

    images: int | None
    rows: int
    evaluations: int
    real_rows: int


def spent(recipe: Recipe[M], chain: Chain, data: Splits, first: int = 0) -> Spent:
    """Return what the finished generations of a run have cost, from generation ``first`` on.

    ``chain`` must know how models are restored, as that of ``Loop`` and of ``registry.open_run`` does.
    """
    evaluations = getattr(recipe.sampler, "evaluations", None)
    a_row = int(evaluations()) if callable(evaluations) else 1
    done = chain.generations()[first:]
    images = [generation.images_seen() for generation in done]
    known = [seen for seen in images if seen is not None]
    training = [generation.training(data) for generation in done if not pretrained(generation)]
    real = [pool.origin[pool.real, 1] for pool in training]
    return Spent(
        images=sum(known) if len(known) == len(images) else None,
        rows=sum(len(generation.samples) for generation in done),
        evaluations=sum(len(generation.samples) * a_row * int(getattr(generation.model, "evaluations", 1)) for generation in done),
        real_rows=len(np.unique(np.concatenate(real))) if real else 0,
    )
