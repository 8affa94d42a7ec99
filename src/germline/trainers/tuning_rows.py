"""What a training step of a text-to-image model sees: latents, noise, times and prompts, each a function of the row's place in training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from germline.core import digest
from germline.core.context import Context
from germline.core.pool import Pool
from germline.diffusion.denoiser import mean_one
from germline.pipelines.device import best, on
from germline.pipelines.latents import encoded
from germline.pipelines.opened import Opened, open_pipeline
from germline.pipelines.texts import NULL, Speaker, told
from germline.trainers.batches import order_of, rows_of

WeightNorm = Literal["mean_one", "count"]
AT_ONCE = 8  # images encoded: encoding everything beforehand should take no more memory than training does


@dataclass(frozen=True, eq=False)
class Seen:
    """Rows as a network trains on them. ``told`` holds one row each by the network's names; a dropped prompt is the empty one."""

    rows: Int[np.ndarray, " b"]
    x0: Float[Tensor, "b c h w"]
    eps: Float[Tensor, "b c h w"]
    t: Float[Tensor, " b"]
    told: dict[str, Tensor]
    weight: Float[Tensor, " b"]


@dataclass(frozen=True)
class Latents:
    """Mean and standard deviation of an image's latents, as an extractor of the loop: cached in fixed blocks of their source."""

    base: Path | str
    revision: str | None
    size: int
    version: ClassVar[int] = 2  # other batches, and so the last bits

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return (n, 2 * channels * height * width) float32."""
        opened = open_pipeline(self.base, self.revision)
        laws = [torch.stack(encoded(opened, images, self.size), 1) for images in pool.images.blocks(AT_ONCE)]
        values: np.ndarray = torch.cat(laws).flatten(1).numpy()
        return values


class TuningRows:
    """The rows of a training set. All draws of a row are its own: the same in batches of any size, on any number of processes."""

    def __init__(
        self, opened: Opened, data: Pool, latents: Latents, drop: float, cached: bool, ctx: Context, norm: WeightNorm = "mean_one"
    ) -> None:
        self._opened, self._data, self._latents, self._drop, self._ctx = opened, data, latents, drop, ctx
        self._weight = weights(torch.from_numpy(data.log_weight), norm)
        self._laws = torch.from_numpy(ctx.features(latents, data)) if cached else None
        texts = Texts(opened, [str(prompt) for prompt in np.unique(data.condition)], latents.size, ctx) if cached else None
        self._told = texts or Speaker(opened, latents.size)
        self._order = order_of(data, ctx)

    def encoders(self) -> AbstractContextManager[None]:
        """Keep what encodes in every step on the device inside; nothing does where all was encoded before."""
        vae = cast(nn.Module, self._opened.vae)
        return on(best(), vae, *self._told.encoders()) if isinstance(self._told, Speaker) else nullcontext()

    def at(self, places: range) -> Seen:
        """Return the rows that training sees at these places, counted from its start."""
        rows = rows_of(places, len(self._data), self._order)
        shape = self._opened.latent_shape(self._latents.size)
        random = [self._ctx.rng("train/row", place) for place in places]
        uniform, drop = np.stack([one.random(2) for one in random]).T
        fresh, eps = (torch.from_numpy(np.stack([one.standard_normal(shape, np.float32) for one in random])) for _ in range(2))
        mean, std = self._law(rows, shape)
        prompts = [NULL if lost else str(prompt) for lost, prompt in zip(drop < self._drop, self._data.condition[rows], strict=True)]
        return Seen(rows, mean + std * fresh, eps, self._opened.process.training_time(uniform), self._told(prompts), self._weight[rows])

    def _law(self, rows: Int[np.ndarray, " b"], shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        if self._laws is None:
            return encoded(self._opened, self._data.images[rows], self._latents.size)
        mean, std = self._laws[rows].view(-1, 2, *shape).unbind(1)
        return mean, std


def weights(log_weight: Float[Tensor, " n"], norm: WeightNorm) -> Float32[Tensor, " n"]:
    """Return what each row's loss is multiplied with: e^log_weight as it is ("count"), or scaled once to a mean of 1.

    Source: arXiv 2502.09963, Eq. 6, whose sum is divided by the number of rows, "count"; the other is ours. Adam sees no common factor,
    so they differ by clipping and by what a step's rows weigh together. Rows at -inf are not here any more, and are not counted.
    """
    return (log_weight.exp() if norm == "count" else mean_one(log_weight)).float()


class Texts:
    """What prompts tell a network, encoded once; the empty prompt is always among them."""

    def __init__(self, opened: Opened, prompts: Sequence[str], size: int, ctx: Context) -> None:
        distinct = [NULL, *sorted({*prompts} - {NULL})]
        key = digest.of_json(["told", opened.digest, size, list(distinct)])
        kept = ctx.cache.on_disk(key, lambda: {name: rows.numpy() for name, rows in told(opened, distinct, size).items()})
        self._rows = {name: torch.from_numpy(np.asarray(rows)) for name, rows in kept.items()}
        self._number = {prompt: number for number, prompt in enumerate(distinct)}

    def __call__(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Return the rows of these prompts, by the network's names."""
        order = torch.tensor([self._number[prompt] for prompt in prompts])
        return {name: rows[order] for name, rows in self._rows.items()}
