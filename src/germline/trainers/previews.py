"""What a text-to-image model draws while it trains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from germline.core.context import Context
from germline.pipelines.device import DTYPES, autocast, best
from germline.pipelines.latents import decoded
from germline.pipelines.opened import Opened
from germline.pipelines.preview import Output, ddim, guided, write
from germline.pipelines.texts import NULL, arguments
from germline.trainers.tuning import Tuning
from germline.trainers.tuning_rows import Texts


class Previews:
    """Pictures of some prompts, from equal noise every time, as ``preview_IMAGES.png`` beside the record. No record holds them."""

    def __init__(self, opened: Opened, prompts: Sequence[str], every: int, guidance: float, size: int, ctx: Context) -> None:
        self._opened, self._every, self._guidance = opened, every, guidance
        self._folder = ctx.scratch.parent
        self._told = Texts(opened, prompts, size, ctx)(prompts) if prompts and every else {}
        self._null = Texts(opened, prompts, size, ctx)([NULL] * len(prompts)) if self._told else {}
        self._eps = torch.from_numpy(ctx.normal("train/preview", range(len(prompts)), opened.latent_shape(size)))

    def after(self, places: range, network: nn.Module, tuning: Tuning, precision: str) -> None:
        """Draw the prompts if one of these places in training is the last of ``preview_every`` images."""
        if self._told and places.stop // self._every > places.start // self._every:
            with torch.no_grad(), tuning.averaged():
                latents = self._latents(network, precision)
            network.to("cpu")  # the VAE's turn
            images = decoded(self._opened, latents)
            network.to(best())
            write(images, self._folder / f"preview_{places.stop:08d}.png")

    def _latents(self, network: nn.Module, precision: str) -> Tensor:
        device, dtype = best(), DTYPES[precision]

        def output(told: dict[str, Tensor]) -> Output:
            rows = {name: values.to(device, dtype) for name, values in told.items()}

            def call(x_t: Tensor, t: Tensor) -> Tensor:
                with autocast(precision, device):
                    made: Tensor = network(x_t.to(dtype), timestep=t, **arguments(rows), return_dict=False)[0]
                return made.float()

            return call

        return ddim(self._opened.process, guided(output(self._told), output(self._null), self._guidance), self._eps.to(device)).cpu()
