"""Samples of a denoiser: noise from each row's own stream, solved down to an image."""

from __future__ import annotations

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
from germline.diffusion.model import Model, to_images
from germline.diffusion.precision import resolve, threads

SMALLEST_BATCH = 16


@dataclass(frozen=True)
class Denoised:
    """Draw ``n`` images from the averaged weights. Row i has class i mod C and its own noise.

    A row does not depend on ``n`` or on the rows beside it: its noise has its place in the seed, and fewer than 16 rows are padded to
    16, since below about 4 rows the products are done in another order (measured in fp32; in bf16 no difference was seen).

    Attributes:
        n: rows a generation.
        steps: solver steps; fewer than 10 feed solver artefacts back into a guided loop.
        solver: the numerical method.
        guidance_scale: w, 1 is none; else each step costs two evaluations.
        schedule: the noise levels: Karras et al. from ``sigma_max`` to ``sigma_min``, or DDPM's own (then those two are not used).
        sigma_max: where it starts.
        sigma_min: the last level above 0.
        clip: clip x0_hat to [-1, 1] at each step, as DDPM's sampler does.
        precision: "auto" is the run's.

    Raises:
        BadInput: a field out of range.
    """

    n: int = 2_000
    steps: int = 10
    solver: Literal["euler", "heun", "ddim", "ancestral", "dpmpp_2m"] = "dpmpp_2m"
    guidance_scale: float = 2.0
    schedule: Literal["karras", "ddpm"] = "karras"
    sigma_max: float = 40.0
    sigma_min: float = 0.02
    clip: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise BadInput(f"Denoised: n must be at least 1, but is {self.n}.")
        try:
            solver.evaluations(self.solver, self.steps)
            self._sigmas()
        except ValueError as error:
            raise BadInput(f"Denoised: {error}") from error

    def __call__(self, model: Model, rows: Rows, ctx: Context) -> Pool:
        """Return one image a row, in blocks of the run's size.

        Raises:
            GermlineError: the model returned NaN.
        """
        rows = np.asarray(rows, np.int64)
        condition, size = rows % len(ctx.data.classes), ctx.execution.block
        with threads(ctx.execution.threads), torch.inference_mode():
            blocks = [self._block(model, rows[start : start + size], ctx) for start in range(0, len(rows), size)]
        return Pool.of(np.concatenate(blocks), condition, ctx.generation)

    def evaluations(self) -> int:
        """Return network evaluations a row: the sampling budget."""
        return solver.evaluations(self.solver, self.steps) * (1 if self.guidance_scale in (0, 1) else 2)

    def _block(self, model: Model, rows: np.ndarray, ctx: Context) -> np.ndarray:
        padded = np.concatenate([rows, np.repeat(rows[-1:], max(0, SMALLEST_BATCH - len(rows)))])
        condition = torch.from_numpy(padded % len(ctx.data.classes))
        precision = ctx.execution.precision if self.precision == "auto" else resolve(self.precision)
        denoiser = Guided(model.denoiser(precision), self.guidance_scale, model.null)

        def denoise(x_t: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
            return denoiser(x_t, torch.full((len(x_t),), sigma), condition)

        def noise(step: int) -> Float[Tensor, "b c h w"]:
            """Place 0 of a row's stream is its start, place k + 1 the noise of solver step k."""
            return torch.from_numpy(ctx.normal("sample/noise", padded, ctx.data.image_shape, step + 1)).permute(0, 3, 1, 2)

        sigmas = self._sigmas()
        start = sigmas[0].item() * noise(-1)
        x0 = solver.solve(self.solver, solver.clipped(denoise) if self.clip else denoise, start, sigmas, noise)[: len(rows)]
        if not bool(torch.isfinite(x0).all()):
            bad = int(rows[int(torch.nonzero(~torch.isfinite(x0).flatten(1).all(1))[0])])
            raise GermlineError(f"Denoised: the model returned NaN or infinity for row {bad}; train with a lower learning_rate.")
        return to_images(x0)

    def _sigmas(self) -> Float[Tensor, " levels"]:
        return schedule.karras(self.steps, self.sigma_max, self.sigma_min) if self.schedule == "karras" else schedule.ddpm(self.steps)
