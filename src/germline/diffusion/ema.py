"""The running mean of a network's weights: what is sampled from."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Ema:
    """Keeps ``average`` <- decay * average + (1 - decay) * weights, one call a step.

    With ``warm_up`` the decay at step t is at most (1 + t) / (10 + t): new weights are forgotten, and the average spans about a ninth
    of the run until then. Without it, 200 steps of decay 0.99 leave 13 % of the random start in the average.

    ``average`` is a network of its own, and is changed in place: its parameters are the whole state.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the warm-up is that of
    TensorFlow's ``ExponentialMovingAverage(num_updates=t)``.
    """

    def __init__(self, network: nn.Module, average: nn.Module, decay: float, warm_up: bool = False) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ema must be at least 0 and below 1, but is {decay}.")
        self._weights, self._average = _values(network.parameters()), _values(average.parameters())
        self._decay, self._warm_up = decay, warm_up

    def update(self, step: int) -> None:
        """Move the average towards the weights as they are after step ``step``, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step)) if self._warm_up else self._decay
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._weights, 1 - decay)


def _values(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach() for parameter in parameters]
