"""The first stage: an AutoencoderKL of diffusers, 32 pixels to 8 x 8 x 4."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn

from emoji_base.pictures import Rows, array, psnr, tensor
from emoji_base.stage import Stage, train
from germline.core.seeds import rng

BATCH = 16
KL, GRADIENT = 3e-4, 0.5


def network(channels: tuple[int, ...], groups: int) -> nn.Module:
    """Return the untrained network; three levels make 8 x 8 latents out of 32 pixels."""
    levels = len(channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=channels,
        layers_per_block=1,
        norm_num_groups=groups,
        latent_channels=4,
        sample_size=32,
    )


def trained(stage: Stage, vae: nn.Module, data: Rows, unseen: Rows) -> tuple[nn.Module, list[dict[str, float]]]:
    """Return the averaged network, trained on ``data``; its PSNR on ``unseen`` is logged.

    The loss is L1 + L2 + that of the differences of neighbours (edges; ours), and a light KL (arXiv 2112.10752, Section 3.1 and App. G).
    """

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        x = batch(data, step)
        law = vae.encode(x).latent_dist
        noise = torch.from_numpy(rng(0, 0, "vae/noise", step).standard_normal(law.mean.shape, np.float32))
        found = vae.decode(law.mean + law.std * noise).sample
        error = found - x
        edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        kl = 0.5 * (law.mean.square() + law.var - 1 - law.logvar).mean()
        total = error.abs().mean() + error.square().mean() + GRADIENT * edges + KL * kl
        return total, {"l1": float(error.detach().abs().mean()), "kl": float(kl.detach())}

    return train(stage, vae, loss, lambda average: {"psnr": quality(average, unseen)})


def batch(data: Rows, step: int) -> Float[Tensor, "b 3 32 32"]:
    """Return a step's pictures, varied more than those of the U-Net: half are mirrored, a quarter has its colours exchanged."""
    draw = rng(0, 0, "vae/batch", step)
    x = tensor(data.images[draw.integers(0, len(data.images), BATCH), draw.integers(0, len(data), BATCH)])
    flipped, exchanged = draw.random(BATCH) < 0.5, draw.random(BATCH) < 0.25
    x[flipped] = x[flipped].flip(3)
    for row in np.flatnonzero(exchanged):
        x[row] = x[row][draw.permutation(3).tolist()]
    return x


def encoded(vae: nn.Module, data: Rows) -> tuple[Float[Tensor, "v n 4 8 8"], Float[Tensor, "v n 4 8 8"]]:
    """Return mean and standard deviation of every variation's latents, not scaled."""
    means, stds = [], []
    with torch.inference_mode():
        for images in data.images:
            laws = [vae.encode(tensor(images[start : start + 100])).latent_dist for start in range(0, len(images), 100)]
            means.append(torch.cat([law.mean for law in laws]))
            stds.append(torch.cat([law.std for law in laws]))
    return torch.stack(means).clone(), torch.stack(stds).clone()


def decoded(vae: nn.Module, latents: Float[Tensor, "n 4 8 8"]) -> np.ndarray:
    """Return the pictures of latents that are not scaled."""
    with torch.inference_mode():
        return np.concatenate([array(vae.decode(latents[start : start + 100]).sample) for start in range(0, len(latents), 100)])


def quality(vae: nn.Module, data: Rows) -> float:
    """Return the PSNR in dB of what comes back, from the means."""
    means, _ = encoded(vae, Rows(data.images[:1], data.styles, data.captions))
    return psnr(decoded(vae, means[0]), data.images[0])
