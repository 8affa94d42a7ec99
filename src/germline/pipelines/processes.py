"""Several processes that train one model: each sees its share of a step's rows, and all take the same step."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

BUCKET = 1 << 24
PATIENCE = timedelta(hours=12)  # the others wait while the first process encodes a data set


@dataclass(frozen=True)
class Processes:
    """Which process this is (0 is first) of how many. One alone talks to nobody."""

    rank: int = 0
    count: int = 1

    def share(self, places: range) -> range:
        """Return this process's part of the places of a step; parts differ by one at most and may be empty."""
        start, stop = (len(places) * part // self.count for part in (self.rank, self.rank + 1))
        return places[start:stop]

    def summed(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over the processes, in place, in messages of about ``BUCKET`` numbers."""
        if self.count == 1:
            return
        bucket: list[Tensor] = []
        for tensor in tensors:
            bucket.append(tensor)
            if sum(one.numel() for one in bucket) >= BUCKET:
                _summed(bucket)
                bucket = []
        _summed(bucket)

    def together(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            dist.barrier()

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Let the first process through before the others: what it caches, they find."""
        if self.rank:
            self.together()
        yield
        if not self.rank:
            self.together()


def _summed(tensors: Sequence[Tensor]) -> None:
    if not tensors:
        return
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    dist.all_reduce(flat)
    with torch.no_grad():
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def processes() -> Processes:
    """Return the group that this process was started in, by torchrun or accelerate (RANK and WORLD_SIZE); alone without one.

    The group is joined by the first call: nccl on CUDA, each process with a device of its own, and gloo on the CPU.
    """
    if not dist.is_available() or not (dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) > 1):
        return Processes()
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    return Processes(dist.get_rank(), dist.get_world_size())
