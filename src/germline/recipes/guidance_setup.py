"""How samples are guided: what the setups of the small loop and of the Chain of Diffusion have in common."""

from dataclasses import dataclass
from typing import Literal

from germline.core.errors import BadInput
from germline.diffusion.guidance_schedule import GuidanceSchedule


@dataclass(frozen=True)
class GuidanceSetup:
    """The guidance scale and how it changes. Abstract: a setup adds a network and a budget, so that all are flags of one kind.

    Attributes:
        guidance_scale: w (s in the Chain of Diffusion), 1 is none; where a schedule is given, what it begins at.
        guidance_schedule: how the scale changes during sampling; below, u is the share of the denoising done. exp_floor is
            1 + (w - 1) exp(-rate u), exp is w exp(-rate u), linear is 1 + (w - 1)(1 - u), interval is w between two noise levels.
        guidance_rate: of exp_floor and exp.
        guidance_over: what u counts: solver steps, DDPM's step numbers, or ln sigma.
        guidance_interval: the noise levels, low and high, between which interval guides.
        below_one: allow a schedule that falls below 1.
    """

    guidance_scale: float = 2.0
    guidance_schedule: Literal["constant", "exp_floor", "exp", "linear", "interval"] = "constant"
    guidance_rate: float = 3.0
    guidance_over: Literal["step", "timestep", "log_sigma"] = "step"
    guidance_interval: tuple[float, float] = (0.3, 3.0)
    below_one: bool = False

    def guidance(self) -> float | GuidanceSchedule:
        """Return the guidance scale, or its schedule.

        Raises:
            BadInput: a field of the schedule out of range.
        """
        if self.guidance_schedule == "constant":
            return self.guidance_scale
        low, high = self.guidance_interval if self.guidance_schedule == "interval" else (0.0, None)
        rate = self.guidance_rate if self.guidance_schedule in ("exp_floor", "exp") else 0.0
        try:
            return GuidanceSchedule(self.guidance_schedule, self.guidance_scale, rate, self.guidance_over, low, high, self.below_one)
        except ValueError as error:
            raise BadInput(f"Guidance: {error}") from error
