"""The model that precedes a chain: trained once on other rows, in many styles, and fine-tuned by every generation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch

from germline.core import digest
from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool
from germline.diffusion.denoiser import Flow, Objective
from germline.diffusion.ema import Ema
from germline.diffusion.mlp import MLP
from germline.diffusion.model import ClassModel, arrays_of, of_model_arrays
from germline.diffusion.network import ClassNetwork
from germline.diffusion.optimiser import Optimiser, cosine, share
from germline.diffusion.precision import resolve, threads
from germline.diffusion.unet import UNet
from germline.trainers.style import Style, Styled
from germline.trainers.training import Budget, Training

RATES = {"muon": 3e-3, "adamw": 4e-3}
DECAYS = {"linear": share, "cosine": cosine}


@dataclass(frozen=True)
class Base:
    """A denoiser of ``reserve`` and ``judge`` rows in random styles: what a pretrained model is to the Chain of Diffusion.

    It is trained once for a configuration and a data set, and is kept in the cache beside the runs: all arms **and all seeds** fine-tune
    the same base, as they would a downloaded one. So seeds say nothing of how another base would have done; for that, give ``seed``.
    While it is trained, its checkpoint lies in the cache too: after a kill, whichever run comes next goes on from it.

    It sees none of the rows that a chain trains on, nor of those it is judged by.

    Source: arXiv 2407.17493 fine-tunes a pretrained text-to-image model; this small one is ours.

    Attributes:
        network: the compact U-Net, or the MLP of the 8x8 toy.
        channels: width of the U-Net at half and at quarter size.
        objective: what the network predicts.
        images: training budget.
        batch: rows a step.
        optimiser: Muon on the kernels inside and AdamW on the rest, or AdamW on all.
        learning_rate: of the optimiser; its own default when not given.
        decay: the course of the rate: flat and then linear, or half a cosine.
        label_drop: share of rows trained without their class.
        ema: decay of the average that is fine-tuned; 0 is none.
        draws: images in random styles, drawn once.
        style: how they are drawn.
        seed: of weights, draws and order.
        precision: "auto" is the run's.
    """

    network: Literal["unet", "mlp"] = "unet"
    channels: tuple[int, int] = (32, 64)
    objective: Objective = field(default_factory=Flow)
    images: int = 51_200
    batch: int = 64
    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float | None = None
    decay: Literal["linear", "cosine"] = "linear"
    label_drop: float = 0.1
    ema: float = 0.99
    draws: int = 40_000
    style: Style = field(default_factory=Style)
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    needs: ClassVar[tuple[str, ...]] = ("judge",)  # the digest of the whole data set

    def __post_init__(self) -> None:
        for name, good, need in (
            ("images", self.images >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("draws", self.draws >= 1, "at least 1"),
            ("ema", 0 <= self.ema < 1, "at least 0 and below 1"),
            ("label_drop", 0 <= self.label_drop <= 1, "between 0 and 1"),
        ):
            if not good:
                raise BadInput(f"Base: {name} must be {need}, but is {getattr(self, name)}.")

    def model(self, ctx: Context) -> ClassModel:
        """Return the trained base, with the digest of its weights as ``base``; trained now if the cache has none.

        Raises:
            BadInput: the data set has prompts, or neither reserve nor judge rows.
        """
        arrays = ctx.once(self, lambda: self._train(ctx), of=self._precision(ctx))
        model = of_model_arrays(arrays, self.objective)
        return replace(model, base=digest.of_json({name: digest.of_array(array) for name, array in sorted(arrays.items())}))

    def _train(self, ctx: Context) -> Arrays:
        corpus, precision = Pool.concat([ctx.data.reserve, ctx.data.judge]), self._precision(ctx)
        if not ctx.data.classes or not len(corpus):
            raise BadInput(
                f"Base is trained on reserve and judge rows with classes, but {ctx.data.name} has {len(corpus)} such rows and"
                f" {len(ctx.data.classes)} classes; use a data set that has both, or a text-to-image model."
            )
        # A place of its own in the seeds: no run's seed and no generation.
        here = replace(ctx, seed=self.seed, generation=REAL, scratch=ctx.unfinished(self, of=precision))
        with threads(ctx.execution.threads):
            training = self._begin(here, precision)
            key = digest.of_json([digest.describe(self), precision, ctx.data.digest])
            rate = self.learning_rate or RATES[self.optimiser]
            budget = Budget("Base", self.images, self.batch, self.label_drop, False, DECAYS[self.decay], precision, key, rate)
            training.run(Styled(corpus, self.style, self.draws, self.seed), budget, here, "train the base")
        return arrays_of(training.model)

    def _begin(self, ctx: Context, precision: str) -> Training:
        network = self._new(ctx)
        model = ClassModel(network, self._new(ctx) if self.ema else network, self.objective)
        ema = Ema(network, model.average, self.ema, warm_up=True) if self.ema else None
        return Training(model, optimiser_of(network, self.optimiser, self.learning_rate or RATES[self.optimiser], precision), ema)

    def _new(self, ctx: Context) -> ClassNetwork:
        generator = torch.Generator().manual_seed(int(ctx.rng("base/weights").integers(2**63)))
        height, width, channels = ctx.data.image_shape
        if self.network == "mlp":
            return MLP(height * width * channels, len(ctx.data.classes), generator)
        return UNet(self.channels, channels, len(ctx.data.classes), generator)

    def _precision(self, ctx: Context) -> str:
        return ctx.execution.precision if self.precision == "auto" else resolve(self.precision)


def optimiser_of(network: ClassNetwork, optimiser: str, rate: float, precision: str) -> Optimiser:
    """Return Muon on the network's kernels with AdamW at 2/3 of the rate on the rest, or AdamW on all."""
    muon = optimiser == "muon" and bool(network.kernels())
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return Optimiser(network, network.kernels() if muon else {}, rate, rate * (2 / 3 if muon else 1), dtype)
