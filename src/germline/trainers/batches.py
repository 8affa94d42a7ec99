"""The rows and the random numbers of a training step: a function of (seed, generation, step) and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from germline.core.context import Context
from germline.diffusion.denoiser import Objective
from germline.diffusion.model import of_images


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees. ``rows`` are the pool's; a dropped label is the null class."""

    rows: Int[np.ndarray, " b"]
    x0: Float[Tensor, "b c h w"]
    eps: Float[Tensor, "b c h w"]
    sigma: Float[Tensor, " b"]
    condition: Int[Tensor, " b"]


class Gathered(Protocol):
    """Images that are gathered when asked for: grey levels, (rows, h, w, c)."""

    def __getitem__(self, rows: Int[np.ndarray, " b"], /) -> np.ndarray:
        """Return the images of these rows."""
        ...


class Examples(Protocol):
    """What can be trained on: a pool, or images that lie in none."""

    @property
    def images(self) -> Gathered:
        """The images, uint8, or float32 in grey levels that may leave 0 to 255."""
        ...

    @property
    def condition(self) -> np.ndarray:
        """The class of each row."""
        ...

    @property
    def log_weight(self) -> Float[np.ndarray, " n"]:
        """The log-weight of each row."""
        ...

    def __len__(self) -> int: ...


def rows_of(seen: range, n: int, order: Callable[[int], Int[np.ndarray, " n"]]) -> Int[np.ndarray, " b"]:
    """Return the pool's rows at these places in training, where pass p runs through ``order(p)``; a batch may span two passes."""
    first, last = seen.start // n, (seen.stop - 1) // n
    return np.concatenate([order(p)[max(seen.start - p * n, 0) : seen.stop - p * n] for p in range(first, last + 1)])


def order_of(data: Examples, ctx: Context) -> Callable[[int], Int[np.ndarray, " n"]]:
    """Return pass number -> the order of rows in that pass; the last two are kept, since many steps ask for one."""
    return lru_cache(2)(lambda number: ctx.rng("train/order", number).permutation(len(data)))


def batch_of(
    data: Examples,
    seen: range,
    step: int,
    objective: Objective,
    label_drop: float,
    flip: bool,
    ctx: Context,
    order: Callable[[int], Int[np.ndarray, " n"]] | None = None,
) -> Batch:
    """Return the batch of a step, which sees the places ``seen`` of training."""
    rows = rows_of(seen, len(data), order or order_of(data, ctx))
    random = ctx.rng("train/noise", step)
    uniform, drop, mirror = random.random((3, len(rows)))
    images = data.images[rows]
    if flip:
        images = np.where((mirror < 0.5)[:, None, None, None], images[:, :, ::-1], images)
    eps = random.standard_normal(images.shape, np.float32)
    condition = np.where(drop < label_drop, len(ctx.data.classes), data.condition[rows])
    return Batch(
        rows,
        of_images(images),
        torch.from_numpy(eps).permute(0, 3, 1, 2),
        objective.training_sigma(torch.from_numpy(uniform)).float(),
        torch.from_numpy(condition),
    )
