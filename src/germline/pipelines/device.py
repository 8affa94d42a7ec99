"""Where and in what numbers a network computes: one model on the device at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def best() -> torch.device:
    """Return the CUDA device of this process where there is one, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


@contextmanager
def on(device: torch.device, *modules: nn.Module) -> Iterator[None]:
    """Keep modules on the device inside, and after it on the CPU, where an opened pipeline lies, unless they were on the device before.

    What is in place is left alone: even a move that moves nothing walks through every module, and a training may ask in each step.
    """
    moved = [module for module in modules if _lies(module) != device.type]
    try:
        for module in moved:
            module.to(device)
        yield
    finally:
        for module in moved:
            module.to("cpu")
        if moved and device.type == "cuda":
            torch.cuda.empty_cache()


def _lies(module: nn.Module) -> str:
    first = next(module.parameters(), None)
    return "cpu" if first is None else first.device.type


def copied(network: nn.Module, device: torch.device, dtype: torch.dtype, *, shared: bool) -> nn.Module:
    """Return a network of the same weights on the device, straight from where it lies: no second copy is made on the way.

    ``shared`` may leave tensors that are in place and of that type already the other network's own: for weights that nobody changes.
    """
    memo: dict[int, object] = {}
    for parameter in network.parameters():
        moved = parameter.detach().to(device, dtype, copy=not shared)
        memo[id(parameter)] = nn.Parameter(moved, requires_grad=False)
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.to(device, dtype if buffer.is_floating_point() else None, copy=not shared)
    made: nn.Module = copy.deepcopy(network, memo)
    return made


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network with float32 trainable weights computes in "bf16" or "fp16"; "fp32" is nothing."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, DTYPES[precision])
