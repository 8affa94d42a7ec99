"""Low-rank adaptation of a network's linear layers, by peft."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import numpy as np
import torch
from torch import nn

from germline.core.errors import BadInput, reason
from germline.core.extras import imported
from germline.pipelines.device import copied

WHO = "A LoRA"
ADAPTER = "default"


@dataclass(frozen=True)
class Lora:
    """W + (alpha / rank) up down, where down is (rank, in) and up (out, rank); W stays.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, Eq. 3.

    Attributes:
        rank: of the change of each layer.
        alpha: scale of the change; the rank when not given, so that the factor is 1.
        targets: the ends of the names of the layers that change; those of attention when not given.

    Raises:
        BadInput: rank or alpha is out of range.
    """

    rank: int = 16
    alpha: float | None = None
    targets: tuple[str, ...] | None = None

    # What the example trainings of diffusers 0.42 adapt; the second line is SD3's layers for text. A network may lack some of them.
    ATTENTION: ClassVar[tuple[str, ...]] = ("to_q", "to_k", "to_v", "to_out.0")
    JOINT: ClassVar[tuple[str, ...]] = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out")

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise BadInput(f"Lora: rank must be at least 1, but is {self.rank}.")
        if self.alpha is not None and not self.alpha > 0:
            raise BadInput(f"Lora: alpha must be above 0, or None for the rank, but is {self.alpha}.")


def add(network: nn.Module, lora: Lora) -> None:
    """Put a LoRA into a network, in place: float32, all zeros, the only part that trains.

    Raises:
        MissingExtra: peft is not installed.
        BadInput: the network has none of the targets.
    """
    peft = imported(WHO, "peft", "t2i")
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.rank if lora.alpha is None else lora.alpha,
        target_modules=list(lora.targets or (*Lora.ATTENTION, *Lora.JOINT)),
        lora_bias=False,
    )
    try:
        with torch.random.fork_rng(devices=[]):  # peft draws from the global stream what is overwritten here
            network.add_adapter(config, ADAPTER)  # type: ignore[operator]
    except ValueError as error:
        raise BadInput(f"{WHO} needs targets that the network has: {reason(error)}") from error
    network.requires_grad_(False)
    with torch.no_grad():
        for down, up in _layers(network).values():
            for layer in (down, up):
                layer.float()
                layer.weight.zero_()
                layer.weight.requires_grad_(True)


def copied_with(network: nn.Module, lora: Lora, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a network that shares this one's frozen weights, where they are in place, and has a LoRA of its own, all zeros."""
    made = copied(network, device or torch.device("cpu"), dtype, shared=True)
    add(made, lora)
    return made


def draw(network: nn.Module, random: np.random.Generator) -> None:
    """Set a LoRA to its start: down ~ N(0, 1 / rank^2), as peft's and diffusers' "gaussian", and up 0, so that nothing is changed yet."""
    with torch.no_grad():
        for down, up in _layers(network).values():
            rank = down.weight.shape[0]
            down.weight.copy_(torch.from_numpy(random.standard_normal(tuple(down.weight.shape), np.float32) / rank))
            up.weight.zero_()


def parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a network's LoRA: ``lora.MODULE.down`` and ``lora.MODULE.up``."""
    sides = {name: dict(zip(("down", "up"), pair, strict=True)) for name, pair in _layers(network).items()}
    return {f"lora.{name}.{side}": layer.weight for name, pair in sides.items() for side, layer in pair.items()}


def arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """Return a network's LoRA as float32 arrays, by the names of ``parameters``."""
    return {name: value.detach().float().cpu().numpy() for name, value in parameters(network).items()}


def restore(network: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Set a network's LoRA to these arrays.

    Raises:
        BadInput: they are those of other layers or of another rank.
    """
    fill(parameters(network), arrays, "the network's LoRA; keep rank and targets over the generations")


def fill(into: Mapping[str, torch.Tensor], arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Set tensors to the arrays of their names.

    Raises:
        BadInput: names or shapes differ.
    """
    shapes = {name: tuple(value.shape) for name, value in into.items()}, {name: array.shape for name, array in arrays.items()}
    if odd := sorted(name for name in {*into, *arrays} if shapes[0].get(name) != shapes[1].get(name)):
        raise BadInput(f"The arrays do not fit {what}: {len(odd)} differ, first {odd[0]}.")
    with torch.no_grad():
        for name, value in into.items():
            value.copy_(torch.from_numpy(np.array(arrays[name])))


class Side(Protocol):
    """One of the two layers of a LoRA: linear, or a convolution."""

    weight: nn.Parameter

    def float(self) -> Side:
        """Make it float32, in place."""
        ...


def _layers(network: nn.Module) -> dict[str, tuple[Side, Side]]:
    return dict(_found(network))


def _found(network: nn.Module) -> Iterator[tuple[str, tuple[Side, Side]]]:
    for name, module in network.named_modules():
        down, up = getattr(module, "lora_A", None), getattr(module, "lora_B", None)
        if isinstance(down, nn.ModuleDict) and isinstance(up, nn.ModuleDict) and ADAPTER in down:
            yield name, (cast(Side, down[ADAPTER]), cast(Side, up[ADAPTER]))
