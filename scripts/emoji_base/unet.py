"""The third stage: a conditional U-Net on latents of 8 x 8, with cross-attention at 4 x 4 alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from emoji_base.stage import Stage, train
from germline.core.seeds import rng

BATCH, DROP, CHECKED = 64, 0.1, 512


@dataclass(frozen=True, eq=False)
class Latents:
    """What the U-Net learns from: scaled latents of every variation, and each row's captions as text vectors.

    ``vectors`` (m, length, width) are of all texts, the empty prompt first; row i may be told ``choices[i]`` of them, each as likely.
    """

    mean: Float[Tensor, "v n 4 8 8"]
    std: Float[Tensor, "v n 4 8 8"]
    vectors: Float[Tensor, "m length width"]
    choices: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.choices)


def schedule() -> DDIMScheduler:
    """Return the noise: the cosine schedule (arXiv 2102.09672, Eq. 17), which ends in noise alone, so that a white ground can be learnt."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
        steps_offset=1,  # of no effect here; diffusers warns of any other
    )


def network(channels: tuple[int, int], width: int, groups: int, dropout: float) -> nn.Module:
    """Return the untrained U-Net."""
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=channels,
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=max(1, channels[1] // 32),  # the number of heads, in spite of its name
        norm_num_groups=groups,
        dropout=dropout,
    )


def trained(stage: Stage, unet: nn.Module, data: Latents, unseen: Latents) -> tuple[nn.Module, list[dict[str, float]]]:
    """Return the averaged U-Net, trained to predict v (arXiv 2202.00512, Appendix D); the loss on seen and unseen rows is logged.

    One caption in ten is the empty prompt (arXiv 2207.12598).
    """
    bars = schedule().alphas_cumprod

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        draw = rng(0, 0, "unet/batch", step)
        value = _error(unet, data, draw, bars, BATCH, DROP)
        return value, {"loss": float(value.detach())}

    def check(average: nn.Module) -> dict[str, float]:
        with torch.inference_mode():
            return {
                name: float(
                    np.mean([float(_error(average, rows, rng(0, 0, "unet/check", part), bars, 128, 0.0)) for part in range(CHECKED // 128)])
                )
                for name, rows in (("seen", data), ("unseen", unseen))
            }

    return train(stage, unet, loss, check)


def _error(unet: nn.Module, data: Latents, draw: np.random.Generator, bars: Tensor, size: int, drop: float) -> Tensor:
    """Return the mean squared error of v on rows, variations, captions, times and noise of one draw."""
    rows, variations = draw.integers(0, len(data), size), draw.integers(0, len(data.mean), size)
    told = [data.choices[row][int(draw.integers(len(data.choices[row])))] for row in rows]
    dropped = draw.random(size) < drop
    words = data.vectors[[0 if gone else text for gone, text in zip(dropped, told, strict=True)]]
    mean, std = data.mean[variations, rows], data.std[variations, rows]
    own, eps = (torch.from_numpy(draw.standard_normal(mean.shape, np.float32)) for _ in range(2))
    x0 = mean + std * own
    # Stratified times: the loss of a batch varies less.
    t = torch.from_numpy(np.floor((draw.permutation(size) + draw.random(size)) / size * len(bars)).astype(np.int64))
    a, b = bars[t].sqrt()[:, None, None, None], (1 - bars[t]).sqrt()[:, None, None, None]
    found = unet(a * x0 + b * eps, t, encoder_hidden_states=words).sample
    return functional.mse_loss(found, a * eps - b * x0)
