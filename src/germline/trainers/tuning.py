"""What changes while a text-to-image model trains: weights, their running mean, the optimiser; and its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from germline.core.errors import MissingExtra
from germline.diffusion.ema import Ema
from germline.pipelines.processes import Processes
from germline.trainers import checkpoint

BETAS = (0.9, 0.999)  # of AdamW, as the example trainings of diffusers


def share(step: int, steps: int, warm_up: int, schedule: Literal["constant", "cosine"]) -> float:
    """Return the share of the learning rate at a step, both counted in steps of the optimiser whatever the number of processes.

    Up in a line over ``warm_up`` steps; then flat, or down half a cosine that would reach 0 one step after the last. Ours.
    """
    if step < warm_up:
        return (step + 1) / warm_up
    return 1.0 if schedule == "constant" else 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


class Tuning:
    """Trainable float32 parameters with AdamW and, where ``ema`` is above 0, their running mean.

    fp16 needs its loss scaled so that small gradients do not vanish; the scale is part of the state. ``eight_bit`` keeps AdamW's momenta
    in 8 bits (Dettmers et al., arXiv 2110.02861).

    Raises:
        MissingExtra: ``eight_bit`` without bitsandbytes.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        averages: Mapping[str, Tensor],
        rate: float,
        decay: float,
        ema: float,
        warm_up: bool,
        clip: float | None,
        scaled: bool,
        eight_bit: bool,
    ) -> None:
        self.parameters = dict(parameters)
        self.averages = {name: nn.Parameter(average.detach().clone(), requires_grad=False) for name, average in averages.items()}
        self._rate, self._clip = rate, clip
        values = [*self.parameters.values()]
        self._device = values[0].device
        self._optimiser = _eight_bit(values, rate, decay) if eight_bit else _adamw(values, rate, decay)
        self._ema = Ema(nn.ParameterList(values), nn.ParameterList(self.averages.values()), ema, warm_up) if averages else None
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=scaled)

    def add(self, loss: Tensor) -> None:
        """Add the gradients of a part of a step's loss."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, loss: Tensor, share: float, number: int, processes: Processes) -> float:
        """Go down the added gradients with this share of the rate, in step ``number``, and return the loss over all processes.

        The gradients are summed, since each process divided its part by the rows of the whole step. Nothing moves where the sum of the
        losses is no number.
        """
        total = loss.detach().clone().view(1).to(self._device)
        for parameter in self.parameters.values():
            if parameter.grad is None:  # a process with no row in this step
                parameter.grad = torch.zeros_like(parameter)
        processes.summed([total, *(parameter.grad for parameter in self.parameters.values() if parameter.grad is not None)])
        if math.isfinite(total.item()):
            self._move(share)
            if self._ema is not None:
                self._ema.update(number)
        for parameter in self.parameters.values():
            parameter.grad = None
        return total.item()

    def _move(self, share: float) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = share * self._rate
        self._scaler.unscale_(self._optimiser)
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self.parameters.values(), self._clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running mean, where there is one, in place of the weights inside."""
        kept = {name: self.parameters[name].detach().clone() for name in self.averages}
        with torch.no_grad():
            for name, average in self.averages.items():
                self.parameters[name].copy_(average)
            try:
                yield
            finally:
                for name, weights in kept.items():
                    self.parameters[name].copy_(weights)

    def save(self, path: Path, key: str, done: int) -> None:
        """Write the state after ``done`` steps; ``key`` says of which training."""
        tensors, numbers = self._momenta()
        checkpoint.write(path, key, done, {**self._weights(), **tensors}, {"numbers": {**numbers}, "scaler": self._scaler.state_dict()})

    def load(self, path: Path, key: str) -> int:
        """Take up the state that ``save`` wrote, and return the steps done: 0 if there is none, or it is another training's."""
        found = checkpoint.read(path, key, self._weights())
        if found is None:
            return 0
        names = {f"optimiser.{name}.": parameter for name, parameter in self.parameters.items()}
        momenta = {whole: tensor.to(self._device) for whole, tensor in found.tensors.items()}
        for whole, value in {**momenta, **cast(dict[str, float], found.more["numbers"])}.items():
            prefix = next(prefix for prefix in names if whole.startswith(prefix))
            self._optimiser.state[names[prefix]][whole.removeprefix(prefix)] = value
        self._scaler.load_state_dict(cast(dict[str, object], found.more["scaler"]))
        return found.done

    def _weights(self) -> dict[str, Tensor]:
        """Return the tensors themselves, not copies."""
        raw = {f"raw.{name}": parameter for name, parameter in self.parameters.items()}
        return {**raw, **{f"ema.{name}": average for name, average in self.averages.items()}}

    def _momenta(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return the optimiser's state: its tensors, and its plain numbers."""
        tensors: dict[str, Tensor] = {}
        numbers: dict[str, float] = {}
        for name, parameter in self.parameters.items():
            for key, value in self._optimiser.state[parameter].items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser.{name}.{key}"] = value
                else:
                    numbers[f"optimiser.{name}.{key}"] = value
        return tensors, numbers


def _adamw(parameters: list[nn.Parameter], rate: float, decay: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=rate, betas=BETAS, weight_decay=decay, fused=True)


def _eight_bit(parameters: list[nn.Parameter], rate: float, decay: float) -> torch.optim.Optimizer:
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise MissingExtra("8-bit AdamW needs bitsandbytes; install it with: pip install 'germline[t2i-8bit]'") from error
    made: torch.optim.Optimizer = AdamW8bit(parameters, lr=rate, betas=BETAS, weight_decay=decay)
    return made
