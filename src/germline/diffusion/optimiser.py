"""One optimiser step for a network: Muon for the kernels inside, AdamW for the rest, and the share of the rate at each step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from germline.diffusion.muon import Muon

BETAS = (0.9, 0.99)


def share(step: int, steps: int, warm_up: int = 30, last: float = 0.03) -> float:
    """Return the share of the learning rate at a step: up in ``warm_up`` steps, flat to half, linear to ``last`` at the end.

    A run of fewer than four times ``warm_up`` steps warms up in a quarter of them.
    """
    rise = max(1, min(warm_up, steps // 4))
    if step < rise:
        return (step + 1) / rise
    fall = 2 * (step + 1) / steps - 1
    return 1 - (1 - last) * max(0.0, fall)


def cosine(step: int, steps: int, warm_up: int = 100, last: float = 0.05) -> float:
    """Return the share of the learning rate at a step: up in ``warm_up`` steps, then half a cosine down to ``last``.

    A run of fewer than four times ``warm_up`` steps warms up in a quarter of them. Source: ours (the toy of arXiv 2407.17493).
    """
    rise = max(1, min(warm_up, steps // 4))
    if step < rise:
        return (step + 1) / rise
    return last + (1 - last) * (1 + math.cos(math.pi * (step + 1 - rise) / (steps - rise))) / 2


class Optimiser:
    """Muon on ``kernels`` and fused AdamW on every other parameter that is trained. Its whole state is a dict of named tensors.

    Without ``kernels``, AdamW does all. ``dtype`` is what Muon orthogonalises in.

    Source of AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv 1711.05101; no decay here.
    """

    def __init__(
        self, network: nn.Module, kernels: Mapping[str, nn.Parameter], muon_rate: float, adamw_rate: float, dtype: torch.dtype
    ) -> None:
        self._muon = Muon(kernels, muon_rate, dtype)
        trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        self._rest = {name: parameter for name, parameter in trained.items() if name not in kernels}
        self._rate = adamw_rate
        self._adamw = torch.optim.AdamW(self._rest.values(), lr=adamw_rate, betas=BETAS, weight_decay=0, fused=True)
        for parameter in self._rest.values():
            self._adamw.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter).detach(),
                "exp_avg_sq": torch.zeros_like(parameter).detach(),
            }

    def step(self, share: float = 1.0) -> None:
        """Apply the gradients with ``share`` of the rates, then clear them."""
        self._muon.step(share)
        for group in self._adamw.param_groups:
            group["lr"] = share * self._rate
        self._adamw.step()
        for parameter in (*self._muon.kernels.values(), *self._rest.values()):
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return momenta and step counts: ``muon.NAME``, ``adamw.NAME.exp_avg``, ..."""
        moments = {f"adamw.{name}.{key}": value for name, of in self._moments().items() for key, value in of.items()}
        return {**moments, **{f"muon.{name}": buffer for name, buffer in self._muon.state().items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Set the whole state, the inverse of ``state``: the next step has the same bits as without the interruption."""
        for name, of in self._moments().items():
            for key, value in of.items():
                value.copy_(state[f"adamw.{name}.{key}"])
        self._muon.restore({name.removeprefix("muon."): value for name, value in state.items() if name.startswith("muon.")})

    def _moments(self) -> dict[str, dict[str, Tensor]]:
        return {name: self._adamw.state[parameter] for name, parameter in self._rest.items()}
