"""Samples of a denoiser: noise from each row's own stream, solved down to an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from germline.core.context import Context
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool, Rows
from germline.diffusion import schedule, solver
from germline.diffusion.guidance import Guided
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.diffusion.model import Model, to_images
from germline.diffusion.precision import resolve, threads

SMALLEST_BATCH = 16
See = Callable[[np.ndarray, float, Tensor], None]


@dataclass(frozen=True)
class Denoised:
    """Draw ``n`` images from the averaged weights. Row i has class i mod C, or that of a real row, and its own noise.

    A row does not depend on ``n`` or on the rows beside it: its noise has its place in the seed, and fewer than 16 rows are padded to
    16, since below about 4 rows the products are done in another order (measured in fp32; in bf16 no difference was seen).

    Attributes:
        n: rows a generation.
        steps: solver steps; fewer than 10 feed solver artefacts back into a guided loop.
        solver: the numerical method.
        guidance_scale: w, 1 is none, or a schedule of it over the noise levels; a step at another scale than 1 costs two evaluations.
        schedule: the noise levels: Karras et al. from ``sigma_max`` to ``sigma_min``, or DDPM's own (then those two are not used).
        sigma_max: where it starts.
        sigma_min: the last level above 0.
        clip: clip x0_hat to [-1, 1] at each step, as DDPM's sampler does.
        precision: "auto" is the run's.
        images_a_prompt: 0 gives row i class i mod C; m gives it the class of real row floor(i / m) mod |R|: "prompts" keep their order.

    Raises:
        BadInput: a field out of range.
    """

    n: int = 2_000
    steps: int = 10
    solver: Literal["euler", "heun", "ddim", "ancestral", "dpmpp_2m"] = "dpmpp_2m"
    guidance_scale: float | GuidanceSchedule = 2.0
    schedule: Literal["karras", "ddpm"] = "karras"
    sigma_max: float = 40.0
    sigma_min: float = 0.02
    clip: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    images_a_prompt: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or self.images_a_prompt < 0:
            name, least, got = ("n", 1, self.n) if self.n < 1 else ("images_a_prompt", 0, self.images_a_prompt)
            raise BadInput(f"Denoised: {name} must be at least {least}, but is {got}.")
        try:
            solver.evaluations(self.solver, self.steps)
            self.sigmas()
            self.scale()
        except ValueError as error:
            raise BadInput(f"Denoised: {error}") from error

    def __call__(self, model: Model, rows: Rows, ctx: Context) -> Pool:
        """Return one image a row, in blocks of the run's size.

        Raises:
            GermlineError: the model returned NaN.
        """
        return self.watched(model, rows, ctx, lambda rows, sigma, x0_hat: None)

    def watched(self, model: Model, rows: Rows, ctx: Context, see: See) -> Pool:
        """Return what a call returns, and show ``see`` every prediction on the way: row numbers, sigma, and their x0_hat."""
        rows = np.asarray(rows, np.int64)
        condition, size = self._condition(rows, ctx), ctx.execution.block
        with threads(ctx.execution.threads), torch.inference_mode():
            blocks = [self._block(model, rows[start : start + size], ctx, see) for start in range(0, len(rows), size)]
        return Pool.of(np.concatenate(blocks), condition, ctx.generation)

    def evaluations(self) -> int:
        """Return network evaluations a row: the sampling budget."""
        scale = self.scale()
        return sum(1 if scale(sigma) in (0, 1) else 2 for sigma in solver.evaluated(self.solver, self.sigmas()))

    def scale(self) -> Callable[[float], float]:
        """Return sigma -> guidance scale on this sampler's noise levels."""
        given = self.guidance_scale
        return given.of(self.sigmas().tolist()) if isinstance(given, GuidanceSchedule) else lambda sigma: given

    def _condition(self, rows: np.ndarray, ctx: Context) -> np.ndarray:
        """Return the class of each row."""
        real = ctx.data.real.condition
        of: np.ndarray = real[rows // self.images_a_prompt % len(real)] if self.images_a_prompt else rows % len(ctx.data.classes)
        return of

    def _block(self, model: Model, rows: np.ndarray, ctx: Context, see: See) -> np.ndarray:
        padded = np.concatenate([rows, np.repeat(rows[-1:], max(0, SMALLEST_BATCH - len(rows)))])
        condition = torch.from_numpy(self._condition(padded, ctx))
        precision = ctx.execution.precision if self.precision == "auto" else resolve(self.precision)
        denoiser, scale = model.denoiser(precision), self.scale()

        def denoise(x_t: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
            # The scale at the level itself: in float32 a level at the border of an interval may lie on its other side.
            return Guided(denoiser, scale(sigma), model.null)(x_t, torch.full((len(x_t),), sigma), condition)

        def noise(step: int) -> Float[Tensor, "b c h w"]:
            """Place 0 of a row's stream is its start, place k + 1 the noise of solver step k."""
            return torch.from_numpy(ctx.normal("sample/noise", padded, ctx.data.image_shape, step + 1)).permute(0, 3, 1, 2)

        sigmas = self.sigmas()
        start = sigmas[0].item() * noise(-1)
        inner = solver.clipped(denoise) if self.clip else denoise

        def shown(x_t: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
            x0_hat = inner(x_t, sigma)
            see(rows, sigma, x0_hat[: len(rows)])
            return x0_hat

        x0 = solver.solve(self.solver, shown, start, sigmas, noise)[: len(rows)]
        if not bool(torch.isfinite(x0).all()):
            bad = int(rows[int(torch.nonzero(~torch.isfinite(x0).flatten(1).all(1))[0])])
            raise GermlineError(f"Denoised: the model returned NaN or infinity for row {bad}; train with a lower learning_rate.")
        return to_images(x0)

    def sigmas(self) -> Float[Tensor, " levels"]:
        """Return the solver's noise levels, largest first, then 0."""
        return schedule.karras(self.steps, self.sigma_max, self.sigma_min) if self.schedule == "karras" else schedule.ddpm(self.steps)
