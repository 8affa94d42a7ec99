"""Trains a small class-conditional denoiser: the model of the embedded loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.diffusion.denoiser import EDM, Eps, Flow, Objective
from germline.diffusion.ema import Ema
from germline.diffusion.model import ClassModel, arrays_of, of_model_arrays
from germline.diffusion.optimiser import Optimiser, share
from germline.diffusion.precision import resolve, threads
from germline.diffusion.unet import UNet
from germline.trainers.training import Budget, Training, checked, identity_of

OBJECTIVES: Mapping[str, Objective] = {"flow": Flow(), "edm": EDM(), "ddpm-eps": Eps()}
RATES = {"muon": 3e-3, "adamw": 4e-3}


@dataclass(frozen=True)
class TrainDenoiser:
    """Train a compact U-Net for ``images`` rows seen, whatever the pool's size.

    Rows are weighted by the pool's log-weights, scaled to a mean of 1 once. Every draw is a function of (seed, generation, step), so a
    killed run goes on from its checkpoint to the same bits. Generation 0 always starts from scratch.

    Attributes:
        images: training budget.
        batch: rows a step; the last step takes what is left of the budget.
        start: new weights, those of the last generation, or those of generation 0. The latter two keep raw and averaged weights, take
            half the rates, and begin with new optimiser state.
        channels: width at half and at quarter size.
        objective: what the network predicts.
        optimiser: Muon on the kernels inside and AdamW on the rest, or AdamW on all.
        learning_rate: of Muon (AdamW's is then 2/3 of it) or of AdamW; 3e-3 and 4e-3 when not given.
        ema: decay of the running mean that is sampled from, warmed up from scratch; 0 keeps the last weights.
        label_drop: share of rows trained without their class, which guidance needs.
        flip: mirror half of the rows.
        precision: "auto" is the run's.

    Raises:
        BadInput: a field out of range.
    """

    images: int = 51_200
    batch: int = 64
    start: Literal["scratch", "sequential", "base"] = "scratch"
    channels: tuple[int, int] = (32, 64)
    objective: Literal["flow", "edm", "ddpm-eps"] = "flow"
    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float | None = None
    ema: float = 0.99
    label_drop: float = 0.1
    flip: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    def __post_init__(self) -> None:
        for name, good, need in (
            ("images", self.images >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("ema", 0 <= self.ema < 1, "at least 0 and below 1"),
            ("label_drop", 0 <= self.label_drop <= 1, "between 0 and 1"),
            ("learning_rate", self.learning_rate is None or self.learning_rate > 0, "above 0, or None"),
        ):
            if not good:
                raise BadInput(f"TrainDenoiser: {name} must be {need}, but is {getattr(self, name)}.")

    def __call__(self, data: Pool, previous: ClassModel | None, ctx: Context) -> ClassModel:
        """Return the model trained on ``data``.

        Raises:
            BadInput: conditions that are no classes of the data set, or no row of finite weight.
            GermlineError: the loss is no longer a number.
        """
        data = checked(data, ctx, "TrainDenoiser")
        precision = ctx.execution.precision if self.precision == "auto" else resolve(self.precision)
        with threads(ctx.execution.threads):
            training = self._begin(previous, precision, ctx)
            self._train(training, data, precision, ctx)
        return training.model

    def arrays(self, model: ClassModel) -> dict[str, np.ndarray]:
        """Return raw and averaged weights: ``raw.NAME``, ``ema.NAME``."""
        return arrays_of(model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> ClassModel:
        """Return the model of these arrays; their shapes tell channels and classes."""
        return of_model_arrays(arrays, OBJECTIVES[self.objective])

    def _begin(self, previous: ClassModel | None, precision: str, ctx: Context) -> Training:
        """Return the training at step 0: the start's weights and new optimiser state."""
        start = None if previous is None or self.start == "scratch" else ctx.model(0) if self.start == "base" else previous
        if start is None:
            model = self._new(ctx)
        elif isinstance(start, ClassModel) and start.objective == OBJECTIVES[self.objective]:
            model = start.copy()
        else:
            has = f"objective {start.objective}" if isinstance(start, ClassModel) else f"a {type(start).__name__}"
            raise BadInput(f"TrainDenoiser starts from a model with objective {self.objective}, but was given {has}; use start='scratch'.")
        rate = (self.learning_rate or RATES[self.optimiser]) * (1 if start is None else 0.5)
        muon = self.optimiser == "muon"
        kernels = model.network.kernels() if muon else {}
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        optimiser = Optimiser(model.network, kernels, rate, rate * (2 / 3 if muon else 1), dtype)
        return Training(model, optimiser, Ema(model.network, model.average, self.ema, warm_up=start is None))

    def _new(self, ctx: Context) -> ClassModel:
        seed = int(ctx.rng("train/weights").integers(2**63))
        network, average = (
            UNet(self.channels, ctx.data.image_shape[2], len(ctx.data.classes), torch.Generator().manual_seed(seed)) for _ in range(2)
        )
        return ClassModel(network, average, OBJECTIVES[self.objective])

    def _train(self, training: Training, data: Pool, precision: str, ctx: Context) -> None:
        key = digest.of_json([digest.describe(self), precision, ctx.seed, ctx.generation, *identity_of(data)])
        rate = self.learning_rate or RATES[self.optimiser]
        budget = Budget("TrainDenoiser", self.images, self.batch, self.label_drop, self.flip, share, precision, key, rate)
        training.run(data, budget, ctx, f"generation {ctx.generation}: train")
