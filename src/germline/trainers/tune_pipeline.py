"""Fine-tunes a pretrained text-to-image pipeline: a LoRA of Stable Diffusion 1, 2, XL or 3, or the whole U-Net of Stable Diffusion 1."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from germline.core import digest, seeds
from germline.core.context import Context
from germline.core.digest import OF_NO_CONSEQUENCE
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.progress import silent
from germline.diffusion.denoiser import weighted_mean
from germline.diffusion.precision import threads
from germline.pipelines import lora as low_rank
from germline.pipelines.device import DTYPES, autocast, best, copied
from germline.pipelines.lora import Lora, fill
from germline.pipelines.opened import Opened, open_pipeline, place
from germline.pipelines.process import Process
from germline.pipelines.processes import Processes, processes
from germline.pipelines.texts import arguments
from germline.pipelines.tuned import EMA, Tuned, full, restored, stored
from germline.trainers.checkpoint import CHECKPOINT, CHECKPOINT_SECONDS, finite
from germline.trainers.previews import Previews
from germline.trainers.tuning import Tuning, share
from germline.trainers.tuning_rows import Latents, Seen, TuningRows, WeightNorm

WHO = "TunePipeline"
CHECKPOINT_SHARE = 0.05  # of the time at the most


@dataclass(frozen=True)
class TunePipeline:
    """Fine-tune the network of a diffusers pipeline for ``images`` rows seen; the VAE and the text encoders stay as they are.

    Rows are weighted by the pool's log-weights. Every draw is a function of (seed, generation, place in training), so a killed run goes
    on from its checkpoint to the same bits. Under torchrun or accelerate every process calls this; the first one writes.

    Source: the loss of arXiv 2112.10752, Eq. 2; of Stable Diffusion 3, arXiv 2403.03206, Eq. 14. LoRA: arXiv 2106.09685. Condition drop:
    arXiv 2207.12598, Algorithm 1. Weights, and training anew from the base in every generation, as the recipes that use it say.

    Attributes:
        base: a folder in the layout of diffusers, which counts by its content, or a name on the hub, which counts with ``revision``.
        revision: of a name on the hub: a branch, a tag or a commit. Only a commit is for ever the same.
        images: training budget.
        batch: rows a step of the optimiser, over all pieces and processes; the last step takes what is left of the budget.
        accumulate: pieces in which a process computes its rows of a step, to save memory.
        lora: what changes; None changes the whole U-Net, of Stable Diffusion 1 and 2 only.
        start: every generation from the pretrained base, all from equal weights; or from the last generation's model.
        learning_rate: of AdamW; 1e-4 for a LoRA and 1e-5 for a whole U-Net when not given.
        schedule: of the rate after the warm-up.
        warm_up: steps in which the rate rises.
        weight_decay: of AdamW.
        clip: largest norm of a step's gradient; None is none.
        condition_drop: share of rows trained with the empty prompt instead of their own.
        min_snr: gamma of the min-SNR weight (arXiv 2303.09556, Eq. 5; v-prediction: its Appendix); 5 is the paper's, None is none.
        ema: decay of the running mean that is sampled from; 0 keeps the last weights.
        weight_norm: scale weights to a mean of 1, once; or "count", take them as they are (arXiv 2502.09963, Eq. 6).
        precision: what frozen weights lie in and products are computed in; "auto" is the run's. Trained weights are always float32.
        checkpointing: compute activations twice instead of keeping them.
        eight_bit: keep AdamW's momenta in 8 bits.
        cached: encode images and prompts once; else anew in every step: slower, with VAE and text encoders on the device all along.
        size: pixels a side that images are trained at; the pipeline's own when not given.
        previews: prompts that are drawn during training, beside the record, to look at.
        preview_every: images seen between two previews; 0 is none.
        preview_guidance: guidance scale of the previews.

    Raises:
        MissingExtra: diffusers, transformers or peft is not installed, or bitsandbytes where it is asked for.
        BadInput: a field out of range; there is no such pipeline.
    """

    together: ClassVar[bool] = True  # every process of a group calls it
    base: Path | str
    revision: str | None = None
    images: int = 8_000
    batch: int = 4
    accumulate: int = 1
    lora: Lora | None = Lora()  # noqa: RUF009  it is frozen
    start: Literal["base", "sequential"] = "base"
    learning_rate: float | None = None
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up: int = 0
    weight_decay: float = 0.01
    clip: float | None = 1.0
    condition_drop: float = 0.0
    min_snr: float | None = None
    ema: float = 0.0
    weight_norm: WeightNorm = "mean_one"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpointing: bool = False
    eight_bit: bool = False
    cached: bool = True
    size: int | None = None
    previews: tuple[str, ...] = field(default=(), metadata=OF_NO_CONSEQUENCE)
    preview_every: int = field(default=0, metadata=OF_NO_CONSEQUENCE)
    preview_guidance: float = field(default=5.0, metadata=OF_NO_CONSEQUENCE)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", place(self.base))
        for name, good, need in (
            ("images", self.images >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("accumulate", 1 <= self.accumulate <= self.batch, f"between 1 and batch ({self.batch})"),
            ("learning_rate", self.learning_rate is None or self.learning_rate > 0, "above 0, or None"),
            ("warm_up", self.warm_up >= 0, "at least 0"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("clip", self.clip is None or self.clip > 0, "above 0, or None"),
            ("condition_drop", 0 <= self.condition_drop <= 1, "between 0 and 1"),
            ("min_snr", self.min_snr is None or self.min_snr > 0, "above 0, or None"),
            ("ema", 0 <= self.ema < 1, "at least 0 and below 1"),
            ("preview_every", self.preview_every >= 0, "at least 0"),
        ):
            if not good:
                raise BadInput(f"{WHO}: {name} must be {need}, but is {getattr(self, name)}.")

    def __call__(self, data: Pool, previous: Tuned | None, ctx: Context) -> Tuned:
        """Return the pipeline trained on ``data``, whose conditions are prompts.

        Raises:
            BadInput: conditions that are no prompts, no row of finite weight, or a start that does not fit.
            GermlineError: the loss is no longer a number.
        """
        data = data.take(data.log_weight > -np.inf)
        _check(data)
        opened = open_pipeline(self.base, self.revision)
        self._fits(opened)
        group = processes()
        with threads(ctx.execution.threads):
            with group.one_by_one():
                law = Latents(self.base, self.revision, self._side(opened))
                rows = TuningRows(opened, data, law, self.condition_drop, self.cached, ctx, self.weight_norm)
                previews = Previews(opened, self.previews, self.preview_every, self.preview_guidance, self._side(opened), ctx)
            network, tuning = self._begin(opened, previous, ctx)
            self._train(opened, network, tuning, rows, previews, self._key(opened, data, ctx), group, ctx)
        return Tuned(opened, _arrays(tuning), self.lora)

    def arrays(self, model: Tuned) -> Mapping[str, np.ndarray]:
        """Return what changed: ``lora.MODULE.down`` and ``.up`` or ``unet.NAME``, ``ema.`` beside them, and the base's sha256."""
        return stored(model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Tuned:
        """Return the model of these arrays, on the base that they were trained on."""
        return restored(open_pipeline(self.base, self.revision), arrays, self.lora)

    def _begin(self, opened: Opened, previous: Tuned | None, ctx: Context) -> tuple[nn.Module, Tuning]:
        """Return the network on its device and the training at step 0."""
        device, precision = best(), self._precision(ctx)
        # The network stays in evaluation: dropout would draw from a global stream.
        if self.lora is None:
            network = copied(opened.network, device, torch.float32, shared=False)
        else:
            network = low_rank.copied_with(opened.network, self.lora, device, DTYPES[precision])
            low_rank.draw(network, seeds.rng(ctx.seed, 0, "train/lora"))  # of no generation: all that start anew start equal
        parameters = full(network.requires_grad_(True)) if self.lora is None else low_rank.parameters(network)
        before = self._before(opened, previous)
        if before is not None:
            fill(parameters, before.last(), "what is trained; keep rank, targets and full or LoRA, or start from 'base'")
        averages: dict[str, Tensor] = {**parameters} if self.ema else {}
        if before is not None and self.ema:
            mean = before.change()
            averages = {name: torch.from_numpy(np.array(mean[name])).to(device) for name in parameters}  # in the order of the weights
        if self.checkpointing:
            network.enable_gradient_checkpointing()  # type: ignore[operator]
        scaled = precision == "fp16"
        tuning = Tuning(parameters, averages, self.rate, self.weight_decay, self.ema, before is None, self.clip, scaled, self.eight_bit)
        return network, tuning

    def _before(self, opened: Opened, previous: Tuned | None) -> Tuned | None:
        """Return the model that training goes on from; None where it is the base."""
        if previous is None or self.start == "base":
            return None
        if isinstance(previous, Tuned) and previous.base.digest == opened.digest:
            return previous if previous.arrays else None
        what = f"of sha256 {previous.base.digest[:12]}..." if isinstance(previous, Tuned) else f"but a {type(previous).__name__}"
        raise BadInput(f"{WHO} goes on from a model of its own base, but was given one {what}; use start='base'.")

    def _train(
        self,
        opened: Opened,
        network: nn.Module,
        tuning: Tuning,
        rows: TuningRows,
        previews: Previews,
        key: str,
        group: Processes,
        ctx: Context,
    ) -> None:
        steps, precision = math.ceil(self.images / self.batch), self._precision(ctx)
        loss_of = Loss(network, opened.process, precision, self.min_snr)
        checkpoint, every = ctx.scratch / CHECKPOINT, CHECKPOINT_SECONDS
        done, saved = tuning.load(checkpoint, key), time.monotonic()
        group.together()  # nobody writes the checkpoint before all have read it
        progress = silent if group.rank else ctx.progress
        with rows.encoders(), progress(f"generation {ctx.generation}: train", self.images) as advance:
            advance(min(done * self.batch, self.images))
            for step in range(done, steps):
                places = range(step * self.batch, min((step + 1) * self.batch, self.images))
                total = torch.zeros((), device=best())
                for piece in _pieces(group.share(places), self.accumulate):
                    seen = rows.at(piece)
                    loss = loss_of(seen) * (len(piece) / len(places))
                    tuning.add(loss)
                    total += loss.detach()
                rate = share(step, steps, self.warm_up, self.schedule)
                finite(WHO, tuning.step(total, rate, step, group), step, steps, self.rate, precision)
                if not group.rank:
                    previews.after(places, network, tuning, precision)
                    if time.monotonic() - saved > every:
                        begun = time.monotonic()
                        tuning.save(checkpoint, key, step + 1)
                        saved = time.monotonic()
                        every = max(CHECKPOINT_SECONDS, (saved - begun) / CHECKPOINT_SHARE)
                advance(len(places))

    @property
    def rate(self) -> float:
        """The learning rate in use."""
        return self.learning_rate or (1e-5 if self.lora is None else 1e-4)

    def _fits(self, opened: Opened) -> None:
        if self.lora is None and opened.kind != "sd1":
            raise BadInput(f"{WHO}: the whole network is trained of Stable Diffusion 1 and 2 only, but this is {opened.kind}; give a Lora.")
        if self.min_snr is not None and opened.process.target == "flow":
            raise BadInput(f"{WHO}: min_snr is for DDPM's noise, but this pipeline was trained by flow matching; leave it out.")
        opened.latent_shape(self.size)

    def _side(self, opened: Opened) -> int:
        return opened.size if self.size is None else self.size

    def _precision(self, ctx: Context) -> str:
        return ctx.execution.precision if self.precision == "auto" else self.precision

    def _key(self, opened: Opened, data: Pool, ctx: Context) -> str:
        """Return the digest of the training that a checkpoint belongs to."""
        rows: list[digest.Json] = [digest.of_array(values) for values in (data.origin, data.condition, data.log_weight)]
        return digest.of_json([digest.describe(self), opened.digest, self._precision(ctx), ctx.seed, ctx.generation, *rows])


@dataclass(frozen=True, eq=False)
class Loss:
    """The weighted loss of a network on rows: its mean over the rows given, as ``weighted_mean`` says."""

    network: nn.Module
    process: Process
    precision: str
    min_snr: float | None = None

    def __call__(self, seen: Seen) -> Tensor:
        """Return sum_i w_i loss_i / b, where loss_i is the mean squared error of row i's output, float32."""
        device = next(self.network.parameters()).device
        dtype = DTYPES[self.precision]
        x0, eps, t, weight = (values.to(device) for values in (seen.x0, seen.eps, seen.t, seen.weight))
        rows = {name: values.to(device, dtype) for name, values in seen.told.items()}
        x_t = self.process.noised(x0, eps, t)
        with autocast(self.precision, device):
            output = self.network(x_t.to(dtype), timestep=t, **arguments(rows), return_dict=False)[0]
        each: Tensor = (output.float() - self.process.wanted(x0, eps, t)).square().flatten(1).mean(1)
        return weighted_mean(each if self.min_snr is None else each * self._min_snr(t, self.min_snr), weight)

    def _min_snr(self, t: Tensor, gamma: float) -> Tensor:
        """Return min(snr, gamma) / snr for eps, and / (snr + 1) for v: arXiv 2303.09556, Section 3.4."""
        snr = self.process.snr(t)
        return 1 / (snr / gamma).clamp(min=1) if self.process.target == "epsilon" else snr.clamp(max=gamma) / (snr + 1)


def _pieces(places: range, count: int) -> Iterator[range]:
    """Yield at most ``count`` pieces of about equal length, none of them empty."""
    for part in range(count):
        piece = places[len(places) * part // count : len(places) * (part + 1) // count]
        if len(piece):
            yield piece


def _arrays(tuning: Tuning) -> dict[str, np.ndarray]:
    raw = {name: parameter.detach().cpu().numpy().copy() for name, parameter in tuning.parameters.items()}
    return {**raw, **{f"{EMA}{name}": average.detach().cpu().numpy().copy() for name, average in tuning.averages.items()}}


def _check(data: Pool) -> None:
    if not len(data):
        raise BadInput(f"{WHO} was given no row with a finite log-weight; look at what the mixer offers and the weighters return.")
    if not np.issubdtype(data.condition.dtype, np.str_):
        raise BadInput(
            f"{WHO} needs prompts, but the conditions are {data.condition.dtype} such as {data.condition[0]!r}. Give captioned pictures:"
            " --data FOLDER, with metadata.jsonl (file_name and text) or a .txt beside each. They are measured against also where no real"
            " row is trained on. For classes there is TrainDenoiser."
        )
