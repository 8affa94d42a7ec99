"""Samples of a text-to-image pipeline: each row's own noise, taken down to an image by diffusers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from germline.core.context import Context
from germline.core.digest import OF_NO_CONSEQUENCE
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool, Rows
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.diffusion.precision import threads
from germline.pipelines.denoising import denoised
from germline.pipelines.device import best
from germline.pipelines.latents import decoded
from germline.pipelines.levels import Noise, noise_of, scale_on, sigmas
from germline.pipelines.schedulers import Name, scheduler
from germline.pipelines.texts import NULL, told
from germline.pipelines.tuned import Tuned

WHO = "SamplePipeline"
See = Callable[[np.ndarray, float, Tensor], None]  # row numbers, sigma, x0_hat
AGAIN = 3  # times that a blank image is drawn again


@dataclass(frozen=True)
class SamplePipeline:
    """Draw ``n`` images of the prompts of the real rows, in their order and over again: row i has that of real row i // images_a_prompt.

    A row's noise has its place in the seed: the start, and that of schedulers which add noise. It does not depend on ``n``, nor on the
    rows beside it; but their number in a batch may change a pixel by 1/255. A blank image (all pixels equal), or one that is no longer
    a number, is drawn again from other noise, up to 3 times; the column ``attempt`` says how often.

    Attributes:
        n: rows a generation.
        steps: of the scheduler.
        scheduler: the folder's own, or a method by name on the same noise.
        guidance_scale: w, 1 is none, or a schedule of it over the noise levels; a step at another scale than 1 costs two evaluations.
        negative_prompt: what guidance sets against the prompt: the empty one, which condition drop trains.
        images_a_prompt: rows that share a prompt.
        size: pixels a side; the pipeline's own when not given. The data's images must have it too.
        batch: images denoised at once.
        precision: of the network; "auto" is the run's. Latents and VAE are float32.
        base: the pipeline that will be sampled, a folder or a name on the hub: only ``sigmas`` and ``scale`` need to know it beforehand.
        revision: of a name on the hub.

    Source: guidance is arXiv 2207.12598, Eq. 6; drawing again is ours.

    Raises:
        BadInput: a field out of range.
    """

    n: int
    steps: int = 30
    scheduler: Name = "own"
    guidance_scale: float | GuidanceSchedule = 7.5
    negative_prompt: str = NULL
    images_a_prompt: int = 1
    size: int | None = None
    batch: int = 8
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    base: Path | str | None = field(default=None, metadata=OF_NO_CONSEQUENCE)
    revision: str | None = field(default=None, metadata=OF_NO_CONSEQUENCE)

    def __post_init__(self) -> None:
        for name in ("n", "steps", "images_a_prompt", "batch"):
            if getattr(self, name) < 1:
                raise BadInput(f"{WHO}: {name} must be at least 1, but is {getattr(self, name)}.")

    def __call__(self, model: Tuned, rows: Rows, ctx: Context) -> Pool:
        """Return one image a row, with the column ``attempt``.

        Raises:
            BadInput: the data have no prompts, or images of another size than the sampler makes.
            GermlineError: an image is blank, or no number, at every attempt.
        """
        return self.watched(model, rows, ctx, None)

    def watched(self, model: Tuned, rows: Rows, ctx: Context, see: See | None) -> Pool:
        """Return what a call returns, and show ``see`` every prediction on the way: row numbers, sigma, and their x0_hat, latents."""
        rows = np.asarray(rows, np.int64)
        prompts = self.prompts(rows, ctx)
        fitting(model.base.size if self.size is None else self.size, ctx, WHO)
        images, attempt = np.empty((len(rows), *ctx.data.image_shape), np.uint8), np.zeros(len(rows), np.int64)
        left = np.arange(len(rows))
        with threads(ctx.execution.threads):
            for number in range(AGAIN + 1):
                attempt[left] = number
                latents = self._latents(model, rows[left], prompts[left], number, ctx, see)
                images[left] = decoded(model.base, latents.nan_to_num(0, 0, 0))
                broken = ~torch.isfinite(latents).flatten(1).all(1).numpy()
                bad = broken | blank(images[left])
                left, broken = left[bad], broken[bad]
                if not len(left):
                    return Pool.of(images, prompts, ctx.generation, {"attempt": attempt})
        what = "no longer a number" if broken[0] else "blank"
        raise GermlineError(
            f"{WHO}: row {rows[left[0]]} of generation {ctx.generation}, prompt {str(prompts[left[0]])!r}, came out {what} in {AGAIN + 1}"
            f" draws ({len(left)} of {len(rows)} rows did). Use precision='fp32' or a lower guidance_scale; if the last one was well, train"
            " with a lower learning_rate."
        )

    def evaluations(self) -> int:
        """Return network evaluations a row: the sampling budget; at most, where a schedule reaches 1 on the way."""
        none = not isinstance(self.guidance_scale, GuidanceSchedule) and self.guidance_scale in (0, 1)
        return self.steps * (1 if none else 2)

    def sigmas(self) -> tuple[float, ...]:
        """Return the noise levels that ``base`` is sampled on, largest first, and a last 0.

        Raises:
            BadInput: no base was named, or there is no such pipeline.
        """
        return sigmas(self._noise(), self.scheduler, self.steps)

    def scale(self) -> Callable[[float], float]:
        """Return sigma -> guidance scale on the noise levels of ``base``.

        Raises:
            BadInput: no base was named, or the schedule does not fit its levels.
        """
        given = self.guidance_scale
        return scale_on(given, self._noise().process, [*self.sigmas()]) if isinstance(given, GuidanceSchedule) else lambda sigma: given

    def _noise(self) -> Noise:
        if self.base is None:
            raise BadInput(f"{WHO}: the noise levels are those of a pipeline; name it: base=FOLDER.")
        return noise_of(self.base, self.revision)

    def prompts(self, rows: np.ndarray, ctx: Context) -> np.ndarray:
        """Return the prompt of each row.

        Raises:
            BadInput: the data's conditions are no prompts.
        """
        real = ctx.data.real.condition
        if not np.issubdtype(real.dtype, np.str_) or not len(real):
            raise BadInput(f"{WHO} needs real rows with prompts, but their conditions are {real.dtype}; give a data set with captions.")
        prompts: np.ndarray = real[rows // self.images_a_prompt % len(real)]
        return prompts

    def _latents(
        self, model: Tuned, rows: np.ndarray, prompts: np.ndarray, attempt: int, ctx: Context, see: See | None
    ) -> Float32[Tensor, "n c h w"]:
        base, side = model.base, model.base.size if self.size is None else self.size
        texts = told(base, [*map(str, prompts), self.negative_prompt], side)
        network = model.network(best(), ctx.execution.precision if self.precision == "auto" else self.precision)
        method, out, before = scheduler(base, self.scheduler), [], global_streams()
        for start in range(0, len(rows), self.batch):
            part = slice(start, min(start + self.batch, len(rows)))
            noise = torch.from_numpy(ctx.normal("sample/noise", rows[part], base.latent_shape(side), attempt))
            seeds = [int(ctx.rng("sample/scheduler", int(row), attempt).integers(1 << 62)) for row in rows[part]]
            streams = [torch.Generator().manual_seed(seed) for seed in seeds]
            rows_told, null = ({name: values[which] for name, values in texts.items()} for which in (part, slice(-1, None)))
            shown = None if see is None else partial(see, rows[part])
            out.append(denoised(base, network, method, rows_told, null, self.guidance_scale, self.steps, noise, streams, shown))
        if any(not torch.equal(a, b) for a, b in zip(before, global_streams(), strict=True)):
            raise BadInput(
                f"{WHO}: the {type(method).__name__} draws noise from a global stream, not from a row's seed; name another scheduler."
            )
        return torch.cat(out)


def global_streams() -> list[Tensor]:
    """Return the state of every global random stream of torch that a scheduler could draw from."""
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *cuda]


def blank(images: UInt8[np.ndarray, "n h w c"]) -> Bool[np.ndarray, " n"]:
    """Return which images are of one colour: what a VAE makes of numbers too large for it, and what safety filters leave."""
    same: np.ndarray = (images == images[:, :1, :1]).all(axis=(1, 2, 3))
    return same


def fitting(side: int, ctx: Context, who: str) -> None:
    """Check that images of ``side`` pixels a side, in colour, are images of the data set.

    Raises:
        BadInput: they are not.
    """
    if ctx.data.image_shape != (side, side, 3):
        height, width, channels = ctx.data.image_shape
        raise BadInput(
            f"{who} makes images of {side} x {side} x 3, but the data's are {height} x {width} x {channels}; give the data as colour images"
            f" of {side} pixels a side, or the sampler another size."
        )
