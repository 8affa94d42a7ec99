"""Low-rank adaptation (LoRA) of the small networks here.

Ours and not peft's: peft wraps layers of PyTorch's own kinds, and is for the pretrained pipelines. Here any kernel is a matrix that gets
a sum of outer products added, so a network needs no layer of another kind, and the whole state is three dicts of named tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from germline.diffusion.network import ClassNetwork


class LowRank(ClassNetwork):
    """``frozen`` with W + up down in place of every kernel W, seen as a matrix out x rest; biases and all else stay as they are.

    down (rank x rest) starts from N(0, 1 / rest), up (out x rank) from 0, so the network starts as the frozen one; the scale is 1.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, Eq. 3 (there the scale is alpha / rank).
    """

    def __init__(self, frozen: ClassNetwork, rank: int, generator: torch.Generator) -> None:
        if rank < 1:
            raise ValueError(f"LowRank needs a rank of at least 1, but got {rank}.")
        super().__init__()
        self.classes = frozen.classes
        self.frozen = frozen.requires_grad_(False)
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for name, kernel in frozen.kernels().items():
            rest = kernel[0].numel()
            # A parameter's name may hold no dot.
            self.down[_key(name)] = nn.Parameter(torch.randn(rank, rest, generator=generator) / math.sqrt(rest))
            self.up[_key(name)] = nn.Parameter(torch.zeros(len(kernel), rank))

    def forward(
        self, image: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Int[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return the raw output for a noisy image, an embedded noise level, and a class or ``classes`` for none."""
        out: Tensor = functional_call(self.frozen, self.adapted(), (image, noise, condition))
        return out

    def adapted(self) -> dict[str, Tensor]:
        """Return every kernel with its change added."""
        return {
            name: kernel + (self.up[_key(name)] @ self.down[_key(name)]).view_as(kernel) for name, kernel in self.frozen.kernels().items()
        }

    def kernels(self) -> dict[str, nn.Parameter]:
        """Return none: AdamW steps both factors, as LoRA is trained everywhere."""
        return {}


def of_arrays(arrays: Mapping[str, Tensor], frozen: ClassNetwork) -> LowRank:
    """Return the network of these named parameters around a frozen one.

    Raises:
        ValueError: a parameter is missing, superfluous, or of another shape.
    """
    try:
        rank = next(len(value) for name, value in arrays.items() if name.startswith("down."))
        network = LowRank(frozen, rank, torch.Generator())
        network.load_state_dict(dict(arrays))
    except (StopIteration, KeyError, RuntimeError) as error:
        raise ValueError(f"These arrays are not those of a low-rank change: {error}") from error
    return network


def _key(name: str) -> str:
    return name.replace(".", "/")
