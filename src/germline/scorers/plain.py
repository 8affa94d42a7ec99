"""Scores of images that belong to no run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.progress import Progress, silent
from germline.core.protocols import Scorer
from germline.core.scores import users_folder
from germline.core.splits import Splits


def scores(
    scorer: Scorer, pool: Pool, classes: tuple[str, ...] = (), cache: Path | None = None, progress: Progress = silent
) -> Float64[np.ndarray, " n"]:
    """Return one score a row; what was scored before, in whatever folder the images lie, is read back.

    Args:
        scorer: one that looks at images and conditions only; one that is fitted on a split needs a run.
        pool: the images, and their prompts or classes.
        classes: the classes' names, where conditions are classes.
        cache: the folder where scores are kept; the user's own when not given.
        progress: opens a progress bar.
    """
    return np.asarray(scorer(pool, nowhere(pool, classes, Cache(cache or users_folder()), progress)), np.float64)


def nowhere(pool: Pool, classes: tuple[str, ...] = (), cache: Cache | None = None, progress: Progress = silent) -> Context:
    """Return a context of no run: all that a scorer of images and prompts may know."""
    return Context(0, 0, Splits("these images", classes, pool, pool, pool, pool), cache=cache or Cache(None), progress=progress)
