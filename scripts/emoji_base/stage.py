"""One stage of training that may be killed at any time: AdamW, a running mean of the weights, and one checkpoint file."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from germline.core.atomic import replacing
from germline.diffusion.ema import Ema


@dataclass(frozen=True)
class Budget:
    """How long a stage trains: minutes of processor time on one core, or a number of steps (then runs are equal, bit for bit)."""

    minutes: float = 0.0
    steps: int | None = None

    def spent(self, step: int, seconds: float) -> float:
        """Return the share that is used up, from 0 to 1."""
        return min(1.0, step / self.steps if self.steps else seconds / max(60 * self.minutes, 1e-9))


@dataclass(frozen=True)
class Stage:
    """Where a stage keeps its checkpoint, its budget, and how it trains.

    The learning rate rises over ``warm_up`` steps, stays, and falls to nothing over the last ``decay`` of the budget as a half cosine. A
    stage that is run again with a larger budget goes on from where it was.
    """

    file: Path
    budget: Budget
    lr: float
    ema: float = 0.999
    weight_decay: float = 0.01
    warm_up: int = 200
    decay: float = 0.5
    every: float = 60.0  # seconds between checkpoints
    made_of: Mapping[str, str] = field(
        default_factory=dict
    )  # sha256 of what is learnt from; a checkpoint made of something else is refused

    def finished(self) -> bool:
        """Return whether the checkpoint has used up the budget."""
        if not self.file.is_file():
            return False
        about = _about(self.file)
        return self.budget.spent(about["step"], about["seconds"]) >= 1


@dataclass
class State:
    """What a checkpoint remembers beside tensors."""

    step: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)


def train(
    stage: Stage, network: nn.Module, loss: Callable[[int], tuple[Tensor, dict[str, float]]], check: Callable[[nn.Module], dict[str, float]]
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train to the end of the budget and return the averaged network and the log.

    ``loss`` gets the step number, from which it must derive every draw, and returns the loss and what to log. ``check`` measures the
    averaged network, at each checkpoint.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a seventh faster on this size (measured)
    average = copy.deepcopy(network).requires_grad_(False).eval()
    optimizer = torch.optim.AdamW(network.parameters(), stage.lr, betas=(0.9, 0.99), weight_decay=stage.weight_decay)
    ema = Ema(network, average, stage.ema, warm_up=True)
    state = _restore(stage, network, average, optimizer) if stage.file.is_file() else State()
    sums: dict[str, float] = {}
    since, last, clock = 0, state.seconds, time.process_time()
    network.train()
    while (spent := stage.budget.spent(state.step, state.seconds)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = stage.lr * min(1.0, (state.step + 1) / stage.warm_up) * _fall(spent, stage.decay)
        torch.manual_seed(state.step)  # what a layer draws by itself, as dropout does, is the same after a kill
        value, told = loss(state.step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        ema.update(state.step)
        state.step, since = state.step + 1, since + 1
        sums = {name: sums.get(name, 0.0) + number for name, number in told.items()}
        now = time.process_time()
        state.seconds, clock = state.seconds + (now - clock) / torch.get_num_threads(), now
        done = stage.budget.spent(state.step, state.seconds) >= 1
        if done or state.seconds - last >= stage.every or (stage.budget.steps and state.step % max(stage.budget.steps // 4, 1) == 0):
            state.log.append(
                {"step": state.step, "seconds": state.seconds, **{name: total / since for name, total in sums.items()}, **check(average)}
            )
            _save(stage.file, network, average, optimizer, state, stage.made_of)
            print(stage.file.stem, " ".join(f"{name} {number:.4g}" for name, number in state.log[-1].items()), flush=True)
            sums, since, last, clock = {}, 0, state.seconds, time.process_time()
    return average, state.log


def _fall(spent: float, decay: float) -> float:
    late = max(0.0, (spent - (1 - decay)) / decay) if decay else 0.0
    return 0.5 * (1 + math.cos(math.pi * late))


def _save(
    file: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, state: State, made_of: Mapping[str, str]
) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": value for name, value in values.items()}
    about = {"state": json.dumps({"step": state.step, "seconds": state.seconds, "log": state.log, "made_of": dict(made_of)})}
    with replacing(file) as temporary:
        save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, temporary, metadata=about)


def _about(file: Path) -> dict[str, Any]:
    with safe_open(file, "pt") as opened:
        about: dict[str, Any] = json.loads(opened.metadata()["state"])
    return about


def log_of(file: Path) -> list[dict[str, float]]:
    """Return what a stage logged, from its checkpoint."""
    log: list[dict[str, float]] = _about(file)["log"]
    return log


def _same(stage: Stage, about: Mapping[str, Any]) -> None:
    """Stop where a checkpoint was made of something else; one that does not say what of (older scripts wrote it) is told of."""
    if "made_of" not in about:
        return print(f"{stage.file} does not say what it was made of; taken to be {', '.join(stage.made_of) or 'nothing'} as it is now.")
    if changed := sorted(name for name, own in stage.made_of.items() if about["made_of"].get(name, own) != own):
        raise SystemExit(
            f"{stage.file} was trained on another {changed[0]} than the one that is there now. Delete {stage.file.name} to train it again,"
            f" or put the old {changed[0]} back."
        )


def _restore(stage: Stage, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    about = _about(stage.file)
    _same(stage, about)
    with safe_open(stage.file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    for prefix, module in (("network.", network), ("average.", average)):
        module.load_state_dict({name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)})
    weights = [parameter.detach() for parameter in network.parameters()]  # momenta lie in memory as these do: strides decide last bits
    adam: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, number, what = name.split(".")
            adam.setdefault(int(number), {})[what] = value if what == "step" else torch.empty_like(weights[int(number)]).copy_(value)
    optimizer.load_state_dict({"state": adam, "param_groups": optimizer.state_dict()["param_groups"]})
    return State(about["step"], about["seconds"], about["log"])
