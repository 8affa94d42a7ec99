"""A training that was interrupted, on disk: one safetensors file whose one metadata key says of which training and how far; and its end."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from germline.core import digest
from germline.core.atomic import replacing
from germline.core.errors import GermlineError

CHECKPOINT, CHECKPOINT_SECONDS = "train.safetensors", 10.0


@dataclass(frozen=True, eq=False)
class Left:
    """What a checkpoint says beside the tensors that were taken up: steps done, more that was noted, and the other tensors."""

    done: int
    more: Mapping[str, digest.Json]
    tensors: Mapping[str, Tensor]


def write(path: Path, key: str, done: int, state: Mapping[str, Tensor], more: Mapping[str, digest.Json] | None = None) -> None:
    """Write the state after ``done`` steps; ``key`` says of which training. A file that is there is replaced in one move."""
    about: dict[str, digest.Json] = {"done": done, "key": key, **(more or {})}
    with replacing(path) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in state.items()}, temporary, {"germline": digest.canonical(about)}
        )


def read(path: Path, key: str, into: Mapping[str, Tensor]) -> Left | None:
    """Take what ``write`` wrote into the tensors of these names, and return what is left; None where there is none of this training."""
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["germline"])
        if about["key"] != key:
            return None
        with torch.no_grad():
            for name, value in into.items():
                value.copy_(file.get_tensor(name))
        rest = {name: file.get_tensor(name) for name in file.keys() if name not in into}  # noqa: SIM118  a safetensors file is no dict
    return Left(int(about["done"]), {name: value for name, value in about.items() if name not in ("done", "key")}, rest)


def finite(who: str, loss: float, step: int, steps: int, rate: float, precision: str) -> None:
    """Go on where the loss of a step, counted from 0, is a number.

    Raises:
        GermlineError: it is none.
    """
    if not math.isfinite(loss):
        other = "" if precision == "fp32" else " or precision='fp32'"
        raise GermlineError(
            f"{who}: the loss is {loss} at step {step + 1} of {steps}. Use a lower learning_rate (now {rate}){other},"
            " and look at the log-weights: one row far above the rest acts like a higher rate."
        )
