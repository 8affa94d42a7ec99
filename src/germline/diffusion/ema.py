"""The running mean of a network's weights: what is sampled from."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Ema:
    """Keeps ``average`` <- decay * average + (1 - decay) * weights, one call a step.

    ``average`` is a network of its own, and is changed in place: its parameters are the whole state.

    Source: Polyak and Juditsky 1992; Karras et al., arXiv 2206.00364, Appendix F.2.
    """

    def __init__(self, network: nn.Module, average: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ema must be at least 0 and below 1, but is {decay}.")
        self._weights, self._average, self._decay = _values(network.parameters()), _values(average.parameters()), decay

    def update(self) -> None:
        """Move the average towards the weights as they are now."""
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._weights, 1 - self._decay)


def _values(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach() for parameter in parameters]
