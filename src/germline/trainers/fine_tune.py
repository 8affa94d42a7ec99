"""Fine-tunes a base on a generation's rows: the training of the Chain of Diffusion, class-conditional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch

from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.diffusion.ema import Ema
from germline.diffusion.low_rank import LowRank
from germline.diffusion.model import ClassModel, arrays_of, of_model_arrays
from germline.diffusion.precision import resolve, threads
from germline.trainers.base import DECAYS, RATES, Base, optimiser_of
from germline.trainers.training import Budget, Training, checked, identity_of


@dataclass(frozen=True)
class FineTune:
    """Fine-tune the base for ``images`` rows seen: all of its weights, or a low-rank change of them.

    **Every generation starts from the base**, never from the last one, unless ``start`` is "sequential". Generation 0 is the base
    fine-tuned on R. A row loses its class with probability ``condition_drop``, for the very input that guidance sets against a class.
    The optimiser begins anew each time. A killed training goes on from its checkpoint to the same bits.

    A model holds its base's weights beside its own change, so that a run folder is whole, and the base's sha256 (``base.sha256``).
    A low-rank change is never merged into them; sequential ones go on from the last one's factors.

    Source: base-anchored fine-tuning and its number of iterations: arXiv 2407.17493, through public reviews of it; condition drop is the
    paper's, its probability is unknown to us. All numbers here are ours.

    Attributes:
        base: what is fine-tuned.
        images: training budget of a generation.
        batch: rows a step; the last step takes what is left of the budget.
        start: the base, or the last generation's model.
        rank: of a low-rank change of every kernel (AdamW); None trains all weights.
        condition_drop: p, share of rows trained without their class.
        optimiser: for all weights: Muon on the kernels inside and AdamW on the rest, or AdamW on all.
        learning_rate: of the optimiser; half of its default from scratch when not given, as for any model that is trained further.
        decay: the course of the rate: flat and then linear, or half a cosine.
        ema: decay of the running mean that is sampled from, for all weights; 0 keeps the last weights, as a low-rank change does.
        precision: "auto" is the run's.

    Raises:
        BadInput: a field out of range.
    """

    base: Base = field(default_factory=Base)
    images: int = 9_600
    batch: int = 64
    start: Literal["base", "sequential"] = "base"
    rank: int | None = None
    condition_drop: float = 0.0
    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float | None = None
    decay: Literal["linear", "cosine"] = "linear"
    ema: float = 0.99
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    def __post_init__(self) -> None:
        for name, good, need in (
            ("images", self.images >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("rank", self.rank is None or self.rank >= 1, "at least 1, or None"),
            ("ema", 0 <= self.ema < 1, "at least 0 and below 1"),
            ("condition_drop", 0 <= self.condition_drop <= 1, "between 0 and 1"),
            ("learning_rate", self.learning_rate is None or self.learning_rate > 0, "above 0, or None"),
        ):
            if not good:
                raise BadInput(f"FineTune: {name} must be {need}, but is {getattr(self, name)}.")

    def __call__(self, data: Pool, previous: ClassModel | None, ctx: Context) -> ClassModel:
        """Return the fine-tuned model.

        Raises:
            BadInput: conditions that are no classes of the data set, or no row of finite weight.
            GermlineError: the loss is no longer a number.
        """
        data = checked(data, ctx, "FineTune")
        precision = ctx.execution.precision if self.precision == "auto" else resolve(self.precision)
        with threads(ctx.execution.threads):
            training = self._begin(previous, precision, ctx)
            key = digest.of_json([digest.describe(self), precision, ctx.seed, ctx.generation, training.model.base, *identity_of(data)])
            budget = Budget("FineTune", self.images, self.batch, self.condition_drop, False, DECAYS[self.decay], precision, key, self.rate)
            training.run(data, budget, ctx, f"generation {ctx.generation}: fine-tune")
        return training.model

    @property
    def rate(self) -> float:
        """The learning rate in use."""
        return self.learning_rate or RATES["adamw" if self.rank else self.optimiser] / 2

    def arrays(self, model: ClassModel) -> dict[str, np.ndarray]:
        """Return raw and averaged weights, and the sha256 of the base."""
        return arrays_of(model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> ClassModel:
        """Return the model of these arrays."""
        return of_model_arrays(arrays, self.base.objective)

    def probe(self, images: int) -> FineTune:
        """Return a trainer whose steps cost as much as this one's, for a budget of ``images``, on a base that is hardly trained."""
        return replace(self, images=images, base=replace(self.base, images=1, draws=1))

    def _begin(self, previous: ClassModel | None, precision: str, ctx: Context) -> Training:
        """Return the training at step 0: the start's weights and new optimiser state."""
        base = self.base.model(ctx)
        if self.start == "base" or previous is None:
            model = self._changed(base, ctx)
        elif previous.base == base.base and isinstance(previous.network, LowRank) == bool(self.rank):
            model = previous.copy()
        else:
            raise BadInput(
                "FineTune(start='sequential') goes on from a model that it fine-tuned from the same base with the same kind of change,"
                f" but was given one of base {previous.base[:12] or 'none'}; use start='base'."
            )
        rate = optimiser_of(model.network, "adamw" if self.rank else self.optimiser, self.rate, precision)
        return Training(model, rate, None if model.average is model.network else Ema(model.network, model.average, self.ema))

    def _changed(self, base: ClassModel, ctx: Context) -> ClassModel:
        """Return a model that starts as the base does, ready to be trained."""
        if self.rank:
            generator = torch.Generator().manual_seed(int(ctx.rng("train/low-rank").integers(2**63)))
            network = LowRank(base.average, self.rank, generator)
            return replace(base, network=network, average=network)
        if not self.ema:
            return replace(base, network=base.average, average=base.average)
        # Both start from the same weights, but are two networks.
        return replace(base, average=base.copy().network) if base.average is base.network else base
