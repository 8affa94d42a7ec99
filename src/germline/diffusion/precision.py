"""Number format and threads: resolved once and recorded, because they decide the bits."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

NAMES = ("auto", "bf16", "fp32")


def resolve(name: str, device: torch.device | None = None) -> str:
    """Return "bf16" or "fp32"; "auto" is bf16 only where the processor computes it natively.

    That is AVX-512 BF16 or AMX on a CPU, capability 8 or more on CUDA. Elsewhere bf16 is emulated and slower than fp32.

    Raises:
        ValueError: the name is none of auto, bf16, fp32.
    """
    if name not in NAMES:
        raise ValueError(f"precision must be one of {', '.join(NAMES)}, but is {name!r}.")
    if name != "auto":
        return name
    return "bf16" if _native_bf16(device or torch.device("cpu")) else "fp32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network computes: bf16 products over fp32 weights, or nothing.

    Raises:
        ValueError: the precision is not resolved.
    """
    if precision not in ("bf16", "fp32"):
        raise ValueError(f"autocast needs a resolved precision, bf16 or fp32, but got {precision!r}; call resolve() first.")
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with ``count`` threads inside an operation; two give other bits than one, and are slower under load."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.get_device_capability(device) >= (8, 0))
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
