"""A pipeline that was trained on: the base, and what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from germline.core.errors import BadInput
from germline.pipelines import lora as low_rank
from germline.pipelines.device import DTYPES, copied
from germline.pipelines.lora import Lora, fill
from germline.pipelines.opened import Opened

FULL, EMA, BASE = "unet.", "ema.", "base"


@dataclass(frozen=True, eq=False)
class Tuned:
    """The base and what changed of its network; nothing changed where ``arrays`` are empty.

    Attributes:
        base: the pretrained pipeline.
        arrays: ``lora.MODULE.down`` and ``.up``, or ``unet.NAME`` after a full fine-tuning, float32; beside them their running mean, with
            "ema." before the name, where there is one. A LoRA's is the mean of each factor, not of their product.
        lora: what the arrays are the LoRA of.
    """

    base: Opened
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    lora: Lora | None = None

    def network(self, device: torch.device | None = None, precision: str = "fp32") -> nn.Module:
        """Return a network with the change in it, the running mean where there is one, frozen; the base's own is left as it is.

        A LoRA stays beside the weights and in float32, as diffusers loads one; all else is of the precision.
        """
        where, dtype = device or torch.device("cpu"), DTYPES[precision]
        change = self.change()
        if not change:
            return copied(self.base.network, where, dtype, shared=True)
        if self.lora is None:
            network = copied(self.base.network, where, dtype, shared=False)
            fill(full(network), change, "the base's network")
        else:
            network = low_rank.copied_with(self.base.network, self.lora, where, dtype)
            low_rank.restore(network, change)
        return network.requires_grad_(False)

    def change(self) -> dict[str, np.ndarray]:
        """Return what is sampled from: the running mean where there is one, by the names of what it is the mean of."""
        averaged = {name.removeprefix(EMA): array for name, array in self.arrays.items() if name.startswith(EMA)}
        return averaged or self.last()

    def last(self) -> dict[str, np.ndarray]:
        """Return the weights as they were last: what training goes on from."""
        return {name: array for name, array in self.arrays.items() if not name.startswith(EMA)}


def full(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return every parameter of a network, by the names that a full fine-tuning has for them."""
    return {f"{FULL}{name}": parameter for name, parameter in network.named_parameters()}


def stored(tuned: Tuned) -> dict[str, np.ndarray]:
    """Return what a generation keeps: what changed, and as ``base`` the 32 bytes of the sha256 of the pipeline that it changes."""
    return {**tuned.arrays, BASE: np.frombuffer(bytes.fromhex(tuned.base.digest), np.uint8)}


def restored(base: Opened, arrays: Mapping[str, np.ndarray], lora: Lora | None) -> Tuned:
    """Return the model of ``stored`` arrays.

    Raises:
        BadInput: they change another base than this one.
    """
    change = {name: array for name, array in arrays.items() if name != BASE}
    was = bytes(arrays[BASE]).hex() if BASE in arrays else base.digest
    if was != base.digest:
        raise BadInput(
            f"This model changes a pipeline of sha256 {was[:12]}..., but the one in {base.folder} is {base.digest[:12]}...;"
            " give the base that the run was made with (of a hub, its revision)."
        )
    return Tuned(base, change, lora if change else None)
