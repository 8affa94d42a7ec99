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

from germline.core.errors import BadInput, GermlineError

BUCKET = 1 << 24
PATIENCE = timedelta(days=7)  # the others wait while the first process encodes, samples and measures; one that ends is noticed at once
END = -1
SAID = "germline/said"


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

    def told(self, number: int = END) -> int:
        """Return the first process's number to all; what the others give is of no consequence. They wait for it."""
        if self.count == 1:
            return number
        message = torch.tensor([number])
        with _not_alone():
            dist.broadcast(message, 0)
        return int(message.item())

    def together(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            with _not_alone():
                dist.all_reduce(torch.zeros(1))  # on the CPU whatever the device: waiting for hours keeps no card busy

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Tell the others ``END`` after the inside, in a generator that is left early too; not after an error: it ends all processes."""
        try:
            yield
        except GeneratorExit:
            self.told(END)
            raise
        self.told(END)

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
    with _not_alone():
        dist.all_reduce(flat)
    with torch.no_grad():
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


@contextmanager
def _not_alone() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise GermlineError("Another process of this training ended, and so does this one. Run the same command to go on.") from error


def processes() -> Processes:
    """Return the group that this process was started in, by torchrun or accelerate (RANK and WORLD_SIZE); alone without one.

    The group is joined by the first call: nccl on CUDA, each process with a device of its own, and gloo on the CPU.

    Raises:
        BadInput: WORLD_SIZE speaks of a group that cannot be joined.
    """
    if not several():
        return Processes()
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
        except (ValueError, RuntimeError) as error:
            raise BadInput(
                f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but there is no such group of processes ({str(error).splitlines()[0]})."
                " Start them all with torchrun, or unset WORLD_SIZE."
            ) from error
    return Processes(dist.get_rank(), dist.get_world_size())


def several() -> bool:
    """Return whether this process was started as one of several."""
    return dist.is_available() and (dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) > 1)


def first_to_speak() -> bool:
    """Return whether no other process of the group asked this before: of an error on all of them, one is to tell the user."""
    if not (dist.is_available() and dist.is_initialized()):
        return True
    from torch.distributed.distributed_c10d import _get_default_store  # absent where torch was built without distributed

    try:
        return bool(_get_default_store().add(SAID, 1) == 1)
    except RuntimeError:  # the process that held the store is gone
        return True
