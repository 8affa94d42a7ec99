"""What every class-conditional network of ours is: a module that knows how many classes there are and which of its weights are kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor, nn


class ClassNetwork(nn.Module, ABC):
    """F(image, noise, condition) whose conditions are the classes 0 to ``classes`` - 1, and ``classes`` for none."""

    classes: int

    @abstractmethod
    def forward(
        self, image: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Int[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return the raw output for a noisy image, an embedded noise level, and a class or ``classes`` for none."""

    @abstractmethod
    def kernels(self) -> dict[str, nn.Parameter]:
        """Return the matrices and convolution kernels inside: what Muon steps and what a low-rank change is added to."""
