"""Pictures of a prompt while a network trains: to look at, never part of a record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from germline.core.atomic import replacing
from germline.pipelines.process import Process

Output = Callable[[Float[Tensor, "b c h w"], Float[Tensor, " b"]], Float[Tensor, "b c h w"]]


def ddim(process: Process, output: Output, eps: Float[Tensor, "b c h w"], steps: int = 20) -> Float[Tensor, "b c h w"]:
    """Return the latents that a network makes of noise alone, in ``steps`` evaluations of ``output(x_t, t)``.

    Each step keeps x0_hat and eps_hat and mixes them anew, from the noisiest time of training to the image. Of DDPM's noise it is DDIM
    (arXiv 2010.02502, Eq. 12 with eta = 0), of flow matching Euler's method.
    """
    quantiles = 1 - np.arange(steps) / steps
    last = 1 if process.alpha_bar is not None else 0
    x_t = eps
    for here, after in zip(quantiles, [*quantiles[1:], None], strict=True):
        t = torch.full((len(eps),), here * process.steps - last, device=eps.device).round()
        x0_hat = process.x0_hat(output(x_t, t), x_t, t)
        if after is None:
            break
        a, b = (scale[:, None, None, None] for scale in process.scales(t))
        eps_hat = (x_t - a * x0_hat) / b
        x_t = process.noised(x0_hat, eps_hat, torch.full_like(t, after * process.steps - last).round())
    return x0_hat


def guided(plain: Output, null: Output, scale: float) -> Output:
    """Return the output guided away from the empty prompt's: null + scale (plain - null) (arXiv 2207.12598, Eq. 6; 1 is none)."""

    def output(x_t: Tensor, t: Tensor) -> Tensor:
        without = null(x_t, t)
        return without + scale * (plain(x_t, t) - without)

    return output


def write(images: UInt8[np.ndarray, "n h w 3"], path: Path) -> None:
    """Write images beside each other into one PNG."""
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(list(images), axis=1)).save(temporary, format="PNG")
