"""A class-conditional multilayer perceptron for tiny images: the network of the 8x8 toy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from germline.diffusion.network import ClassNetwork

WIDTH, FREQUENCIES = 256, 16


class MLP(ClassNetwork):
    """Pixels, 32 features of the noise level and a one-hot class -> three layers of ``width`` with SiLU -> pixels.

    The second and third layer are residual; no class is all zeros. The features are sine and cosine of the embedded noise level times
    16 frequencies, log-spaced from 0.5 to 16. Weights and biases start from U(-1, 1) / sqrt(fan in) of the given generator.

    Source: ours (the toy of our notes on arXiv 2407.17493, section 6).
    """

    def __init__(self, pixels: int, classes: int, generator: torch.Generator, width: int = WIDTH) -> None:
        super().__init__()
        self.classes = classes
        with torch.device("meta"):
            self.first = nn.Linear(pixels + 2 * FREQUENCIES + classes, width)
            self.second, self.third = nn.Linear(width, width), nn.Linear(width, width)
            self.last = nn.Linear(width, pixels)
        self.to_empty(device="cpu")
        self._start(generator)

    def forward(
        self, image: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Int[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return the raw output for a noisy image, an embedded noise level, and a class or ``classes`` for none."""
        steps = torch.arange(FREQUENCIES, dtype=noise.dtype, device=noise.device) / (FREQUENCIES - 1)
        angle = noise[:, None] * (0.5 * 32**steps)
        label = functional.one_hot(condition, self.classes + 1)[:, : self.classes].to(image.dtype)
        x = functional.silu(self.first(torch.cat([image.flatten(1), angle.sin(), angle.cos(), label], dim=1)))
        x = x + functional.silu(self.second(x))
        x = x + functional.silu(self.third(x))
        out: Tensor = self.last(x)
        return out.reshape(image.shape)

    def kernels(self) -> dict[str, nn.Parameter]:
        """Return all four weight matrices."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.ndim > 1}

    @torch.no_grad()
    def _start(self, generator: torch.Generator) -> None:
        for layer in (self.first, self.second, self.third, self.last):
            bound = 1 / math.sqrt(layer.in_features)
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)


def of_arrays(arrays: Mapping[str, Tensor]) -> MLP:
    """Return the MLP of these named parameters; their shapes tell pixels, width and classes.

    Raises:
        ValueError: a parameter is missing, superfluous, or of another shape.
    """
    try:
        first, last = arrays["first.weight"], arrays["last.weight"]
        network = MLP(len(last), first.shape[1] - len(last) - 2 * FREQUENCIES, torch.Generator(), len(first))
        network.load_state_dict(dict(arrays))
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"These arrays are not those of an MLP: {error}") from error
    return network
