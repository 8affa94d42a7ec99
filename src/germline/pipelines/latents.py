"""Between images and the latents that a network sees."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

from germline.core.errors import BadInput
from germline.diffusion.model import to_images
from germline.pipelines.device import best, on
from germline.pipelines.opened import Opened

PIXELS = 1 << 20  # at once: the first maps of a VAE take half a gigabyte for each of them a million


def encoded(
    opened: Opened, images: UInt8[np.ndarray, "n h w c"], size: int | None = None
) -> tuple[Float32[Tensor, "n k y x"], Float32[Tensor, "n k y x"]]:
    """Return mean and standard deviation of the law of each image's latents, as the network knows latents: shifted and scaled.

    Images are brought to ``size`` pixels a side, the pipeline's own when not given. The VAE computes in float32.
    """
    side = opened.size if size is None else size
    opened.latent_shape(side)
    batch = max(1, min(64, PIXELS // side**2))
    config, laws = opened.vae.config, []
    with torch.inference_mode(), on(best(), cast(nn.Module, opened.vae)):
        for start in range(0, len(images), batch):
            x = prepared(images[start : start + batch], 3, (side, side))
            law = opened.vae.encode(x.to(best())).latent_dist
            laws.append((law.mean.cpu(), law.std.cpu()))
    mean, std = (torch.cat(values).clone() for values in zip(*laws, strict=True))
    return (mean - (config.shift_factor or 0.0)) * config.scaling_factor, std * config.scaling_factor


def decoded(opened: Opened, latents: Float32[Tensor, "n k y x"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Return the images of latents, by the VAE in float32: in half precision some VAEs make black ones."""
    config, images = opened.vae.config, []
    batch = max(1, min(64, PIXELS // (latents.shape[-1] * opened.factor) ** 2))
    with torch.inference_mode(), on(best(), cast(nn.Module, opened.vae)):
        for start in range(0, len(latents), batch):
            part = latents[start : start + batch].to(best(), torch.float32) / config.scaling_factor + (config.shift_factor or 0.0)
            images.append(to_images(opened.vae.decode(part, return_dict=False)[0].cpu()))
    return np.concatenate(images)


def prepared(
    images: UInt8[np.ndarray, "n h w c"], channels: int, size: tuple[int, int] | None, who: str = "A pipeline"
) -> Float32[Tensor, "n {channels} h2 w2"]:
    """Return images in [-1, 1], grey ones with equal channels, resized (bicubic, antialiased) unless they have the size.

    Raises:
        BadInput: colour images for a network of one channel.
    """
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    if x.shape[1] not in (1, channels):
        raise BadInput(f"{who}: the network takes {channels} channel, but the images have {x.shape[1]}; give grey images.")
    if size is not None and size != tuple(x.shape[2:]):
        x = functional.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 255)
    return (x / 127.5 - 1).expand(-1, channels, -1, -1).contiguous()
