"""Muon: momentum whose matrices are made orthogonal before they are applied. Needs about half of AdamW's steps here."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


def orthogonalise(matrices: Float[Tensor, "k rows columns"], dtype: torch.dtype = torch.bfloat16) -> Float[Tensor, "k rows columns"]:
    """Return each matrix U S V^T with its singular values S brought to about 1 (0.7 to 1.2), computed in ``dtype``.

    X <- a X + (b A + c A^2) X with A = X X^T, five times, from X of Frobenius norm 1.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; quoted in arXiv 2502.16982, Section 2.1.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.to(dtype)
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon:
    """Updates kernels, each as a matrix out x (height width in); kernels of one shape are updated together.

    Nesterov momentum, then a step of rate * 0.2 sqrt(larger side): the root mean square of AdamW's. No weight decay.

    Source: Liu et al., "Muon is Scalable for LLM Training", arXiv 2502.16982, Eq. 1 and 4.
    """

    def __init__(self, kernels: Mapping[str, nn.Parameter], rate: float, dtype: torch.dtype, momentum: float = 0.95) -> None:
        self.kernels, self._rate, self._momentum, self._dtype = dict(kernels), rate, momentum, dtype
        self._buffers = {name: torch.zeros_like(kernel).detach() for name, kernel in kernels.items()}
        self._groups: dict[tuple[int, int], list[str]] = {}
        for name, kernel in kernels.items():
            self._groups.setdefault((kernel.shape[0], kernel[0].numel()), []).append(name)

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """Apply the gradients with ``share`` of the rate."""
        for shape, names in self._groups.items():
            gradients = [gradient for name in names if (gradient := self.kernels[name].grad) is not None]
            buffers = [self._buffers[name] for name in names]
            torch._foreach_lerp_(buffers, gradients, 1 - self._momentum)
            ahead = torch._foreach_lerp(gradients, buffers, self._momentum)
            updates = orthogonalise(torch.stack([_matrix(direction) for direction in ahead]), self._dtype)
            rate = share * self._rate * 0.2 * max(shape) ** 0.5
            for name, update in zip(names, updates, strict=True):
                kernel = self.kernels[name]
                kernel.add_(_kernel(update, kernel.shape), alpha=-rate)

    def state(self) -> dict[str, Tensor]:
        """Return the momentum of every kernel by its name."""
        return dict(self._buffers)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Set the momentum of every kernel, the inverse of ``state``."""
        for name, buffer in self._buffers.items():
            buffer.copy_(state[name])


def _matrix(kernel: Tensor) -> Float[Tensor, "out rest"]:
    """Return a kernel as out x (height width in)."""
    return kernel if kernel.ndim == 2 else kernel.permute(0, 2, 3, 1).flatten(1)


def _kernel(matrix: Float[Tensor, "out rest"], shape: torch.Size) -> Tensor:
    """Return a matrix as a kernel of this shape, the inverse of ``_matrix``."""
    return matrix if len(shape) == 2 else matrix.reshape(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)
