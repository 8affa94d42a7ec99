"""What a pretrained network was trained on: how noise is mixed in, and what the network is to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from germline.core.errors import BadInput
from germline.pipelines.files import alpha_bars, json_of

Target = Literal["epsilon", "v_prediction", "flow"]


@dataclass(frozen=True, eq=False)
class Process:
    """x_t = a(t) x0 + b(t) eps, where t is the number that the network is told: 0 is the image, ``steps`` noise alone.

    Of DDPM's noise a^2 = alpha_bar(t) and b^2 = 1 - a^2, at whole t (arXiv 2006.11239, Eq. 4). Of flow matching b = t / steps and
    a = 1 - b, at every t (arXiv 2210.02747, Eq. 20-23). Everywhere sigma = b / a.

    Attributes:
        target: what the output should be: eps; v = a eps - b x0 (arXiv 2202.00512, Appendix D); or the velocity eps - x0.
        alpha_bar: at each training step; None for flow matching.
        steps: the number of training steps.
        shift: of flow matching, how far training times are pushed towards noise (arXiv 2403.03206, Eq. 23); 1 is not at all.
    """

    target: Target
    alpha_bar: Float64[np.ndarray, " steps"] | None = field(repr=False)
    steps: int = 1000
    shift: float = 1.0

    def scales(self, t: Float[Tensor, " b"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Return a(t) and b(t), float32."""
        if self.alpha_bar is None:
            b = t.float() / self.steps
            return 1 - b, b
        alpha_bar = torch.from_numpy(self.alpha_bar).to(t.device)[t.long()]
        return alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()

    def noised(self, x0: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], t: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return x_t."""
        a, b = self._wide(t)
        return a * x0 + b * eps

    def wanted(self, x0: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], t: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return what the network's output should be."""
        if self.target == "epsilon":
            return eps
        if self.target == "flow":
            return eps - x0
        a, b = self._wide(t)
        return a * eps - b * x0

    def x0_hat(self, output: Float[Tensor, "b c h w"], x_t: Float[Tensor, "b c h w"], t: Float[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Return the image that an output speaks of."""
        a, b = self._wide(t)
        if self.target == "epsilon":
            return (x_t - b * output) / a
        return x_t - b * output if self.target == "flow" else a * x_t - b * output

    def training_time(self, uniform: Float64[np.ndarray, " b"]) -> Float[Tensor, " b"]:
        """Return the training times at these quantiles in [0, 1).

        DDPM's are equally probable. Of flow matching, logit b ~ N(0, 1) (arXiv 2403.03206, Eq. 19), then shifted.
        """
        quantile = torch.from_numpy(np.asarray(uniform, np.float64))
        if self.alpha_bar is not None:
            return torch.floor(quantile * self.steps).float()
        b = torch.sigmoid(torch.special.ndtri(quantile.clamp(1e-7, 1 - 1e-7)))
        return (self.steps * self.shift * b / (1 + (self.shift - 1) * b)).float()

    def snr(self, t: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return a^2 / b^2."""
        a, b = self.scales(t)
        return (a / b).square()

    def sigma(self, t: float) -> float:
        """Return b / a; of DDPM's noise linear between whole t, as diffusers' own solvers read it."""
        if self.alpha_bar is None:
            return float(t / max(self.steps - t, 1e-12))
        return float(np.interp(t, np.arange(self.steps), self._levels))

    def timestep(self, sigma: float) -> float:
        """Return the t of a noise level: the inverse of ``sigma``, clamped to the levels of training."""
        if self.alpha_bar is None:
            return self.steps * sigma / (1 + sigma)
        return float(np.interp(sigma, self._levels, np.arange(self.steps)))

    @property
    def _levels(self) -> Float64[np.ndarray, " steps"]:
        assert self.alpha_bar is not None
        with np.errstate(divide="ignore"):  # the last step may be noise alone
            return np.sqrt(1 / self.alpha_bar - 1)

    def _wide(self, t: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.scales(t)
        return a[:, None, None, None], b[:, None, None, None]


def process_of(who: str, file: Path) -> Process:
    """Return the process of a ``scheduler_config.json``.

    Raises:
        BadInput: there is no such file, or its noise or its prediction type is not known here.
    """
    alpha_bar, steps = alpha_bars(who, file)
    config = json_of(who, file)
    if alpha_bar is None:
        return Process("flow", None, steps, float(str(config.get("shift", 1.0))))
    kind = str(config.get("prediction_type", "epsilon"))
    if kind not in ("epsilon", "v_prediction"):
        raise BadInput(f"{who}: {file} predicts {kind!r}; epsilon, v_prediction and flow matching are known here.")
    return Process("epsilon" if kind == "epsilon" else "v_prediction", alpha_bar, steps)
