"""A frozen network of convolutions as data: weights, and a list of what is done with them; so that a trunk needs no package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Layer:
    """One convolution, with what follows it. Batch norm is taken up by weight and bias.

    Attributes:
        stride: of the convolution.
        padding: zeros left, right, above, below.
        groups: of channels.
        limit: of the ReLU after it: none, or values are cut at 0 and at ``limit`` (infinite: a plain ReLU).
        pool: a 3 x 3 maximum at stride 2 comes next, after the layer was read.
        add: how many layers back the output lies that is added to this one's; 0 is none.
        read: what is read of it: means or maxima over a grid of so many places a side.
    """

    stride: int
    padding: tuple[int, int, int, int]
    groups: int = 1
    limit: float | None = None
    pool: bool = False
    add: int = 0
    read: tuple[tuple[Literal["mean", "max"], int], ...] = ()


def read_off(x: Float32[Tensor, "n 3 h w"], layers: Sequence[Layer], tensors: Mapping[str, Tensor]) -> Float32[Tensor, "n f"]:
    """Return all that is read of the layers, flat, in order; layer i has ``i.weight`` and ``i.bias``."""
    outputs: list[Tensor] = []
    found: list[Tensor] = []
    for number, layer in enumerate(layers):
        x = functional.pad(x, layer.padding)
        x = functional.conv2d(x, tensors[f"{number}.weight"], tensors[f"{number}.bias"], layer.stride, groups=layer.groups)
        x = x if layer.limit is None else x.clamp(0, layer.limit)
        x = x + outputs[number - layer.add] if layer.add else x
        outputs.append(x)
        for what, side in layer.read:
            pool = functional.adaptive_avg_pool2d if what == "mean" else functional.adaptive_max_pool2d
            found.append(pool(x, side).flatten(1))
        x = functional.max_pool2d(x, 3, 2) if layer.pool else x
    return torch.cat(found, 1)


def prepared(
    images: UInt8[np.ndarray, "n h w c"], size: int, shift: Sequence[float], scale: Sequence[float]
) -> Float32[Tensor, "n 3 {size} {size}"]:
    """Return images in three channels, brought to ``size`` (bicubic, antialiased), cut to 0..255, then (x - shift) / scale by channel."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1).float().contiguous()
    x = functional.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 255)
    return (x - torch.tensor(shift)[:, None, None]) / torch.tensor(scale)[:, None, None]
