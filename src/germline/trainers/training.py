"""Going down a denoiser's loss for a budget of images: what our trainers share, and the checkpoint that makes a kill leave no trace."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.diffusion.denoiser import Denoising, mean_one, weighted_mean
from germline.diffusion.ema import Ema
from germline.diffusion.model import ClassModel
from germline.diffusion.optimiser import Optimiser
from germline.trainers import checkpoint
from germline.trainers.batches import Examples, batch_of, order_of
from germline.trainers.checkpoint import CHECKPOINT, CHECKPOINT_SECONDS


@dataclass(frozen=True, eq=False)
class Budget:
    """How a training spends its images.

    Attributes:
        who: the part that trains, for messages.
        images: rows seen; the last step takes what is left.
        batch: rows a step.
        drop: share of rows trained without their class.
        flip: mirror half of the rows.
        rate: share of the learning rate at (step, steps).
        precision: "bf16" or "fp32".
        key: what this training is; a checkpoint of another is not taken up.
        learning_rate: the rate in use, for messages.
    """

    who: str
    images: int
    batch: int
    drop: float
    flip: bool
    rate: Callable[[int, int], float]
    precision: str
    key: str
    learning_rate: float


class Training:
    """What changes during training, and its checkpoint: one safetensors file with one metadata key. Without EMA, ``ema`` is None."""

    def __init__(self, model: ClassModel, optimiser: Optimiser, ema: Ema | None) -> None:
        self.model, self._optimiser, self._ema = model, optimiser, ema

    def run(self, data: Examples, budget: Budget, ctx: Context, what: str) -> None:
        """Train for the whole budget, from the checkpoint in the scratch folder if there is one.

        Every draw is a function of (seed, generation, step), so a killed run goes on to the same bits.

        Raises:
            GermlineError: the loss is no longer a number.
        """
        steps = math.ceil(budget.images / budget.batch)
        weight = mean_one(torch.from_numpy(data.log_weight)).float()
        objective = self.model.objective
        denoising = Denoising(self.model.network, objective, budget.precision)
        file = ctx.scratch / CHECKPOINT
        done, saved, order = self.load(file, budget.key), time.monotonic(), order_of(data, ctx)
        with ctx.progress(what, budget.images) as advance:
            advance(min(done * budget.batch, budget.images))
            for step in range(done, steps):
                seen = range(step * budget.batch, min((step + 1) * budget.batch, budget.images))
                batch = batch_of(data, seen, step, objective, budget.drop, budget.flip, ctx, order)
                loss = weighted_mean(denoising.loss(batch.x0, batch.eps, batch.sigma, batch.condition), weight[batch.rows])
                checkpoint.finite(budget.who, loss.item(), step, steps, budget.learning_rate, budget.precision)
                self.step(loss, step, budget.rate(step, steps))
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self.save(file, budget.key, step + 1)
                    saved = time.monotonic()
                advance(len(seen))

    def step(self, loss: Tensor, step: int, share: float) -> None:
        """Go down the loss with this share of the rates; ``step`` counts from 0."""
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step(share)
        if self._ema:
            self._ema.update(step)

    def save(self, path: Path, key: str, done: int) -> None:
        """Write the state after ``done`` steps; ``key`` says of which training."""
        checkpoint.write(path, key, done, self._state())

    def load(self, path: Path, key: str) -> int:
        """Take up the state that ``save`` wrote, and return the steps done: 0 if there is none, or it is another training's."""
        found = checkpoint.read(path, key, self._state())
        return found.done if found else 0

    def _state(self) -> dict[str, Tensor]:
        """Return the tensors themselves, not copies."""
        parts = {"raw": self.model.network.state_dict(), "optimiser": self._optimiser.state()}
        if self._ema:
            parts["ema"] = self.model.average.state_dict()
        return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def checked(data: Pool, ctx: Context, who: str) -> Pool:
    """Return the rows of finite log-weight after checking that there are any, and that their conditions are classes of the data set."""
    data = data.take(data.log_weight > -np.inf)
    if not len(data):
        raise BadInput(f"{who} was given no row with a finite log-weight; look at what the mixer offers and the weighters return.")
    classes = len(ctx.data.classes)
    if not np.issubdtype(data.condition.dtype, np.integer) or data.condition.min() < 0 or data.condition.max() >= classes:
        raise BadInput(
            f"{who} needs conditions that are classes from 0 to {classes - 1}, but got {data.condition.dtype} such as"
            f" {data.condition[0]!r}; prompts need a text-to-image trainer."
        )
    return data


def identity_of(data: Pool) -> tuple[str, str, str]:
    """Return digests of the rows, conditions and log-weights that are trained on."""
    return digest.of_array(data.origin), digest.of_array(data.condition), digest.of_array(data.log_weight)
