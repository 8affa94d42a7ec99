"""The base, how generations fine-tune it, and how they are sampled: what the Chain of Diffusion and ReDiFine share."""

from dataclasses import dataclass, replace
from typing import Literal

from germline.core.errors import BadInput
from germline.core.protocols import Mixer
from germline.diffusion.denoiser import EDM
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.mixers import Replace, Swapped
from germline.recipes.setup import Setup
from germline.samplers import Denoised
from germline.theory.guided_gaussian import effective_scale
from germline.trainers import Base, FineTune


@dataclass(frozen=True)
class ChainSetup:
    """How the base is made, fine-tuned and sampled. The defaults are the embedded scale, on the compact U-Net.

    Attributes:
        network: what is fine-tuned: the compact U-Net, or the MLP of the 8x8 toy with its own objective, optimiser and fp32.
        channels: width of the U-Net at the two resolutions.
        base_images: images that the base sees in training, once for all runs beside each other.
        images: images that each generation sees in fine-tuning, generation 0 on R too: batch times steps.
        batch: rows a step.
        start: where every generation starts: the base, or (but for generation 0) the last generation's model.
        rank: of a low-rank change (LoRA); all weights when not given.
        condition_drop: share of rows trained without their class.
        learning_rate: of fine-tuning; its own default when not given.
        images_a_prompt: samples for each real row, with its class, in the order of the real rows.
        guidance_scale: s, 1 is none; where a schedule is given, what it begins at.
        guidance_schedule: how the scale changes during sampling; below, u is the share of the denoising done. exp_floor is
            1 + (s - 1) exp(-rate u), exp is s exp(-rate u), linear is 1 + (s - 1)(1 - u), interval is s between two noise levels.
        guidance_rate: of exp_floor and exp.
        guidance_over: what u counts: solver steps, DDPM's step numbers, or ln sigma.
        guidance_interval: the noise levels, low and high, between which interval guides.
        below_one: allow a schedule that falls below 1.
        matched: in place of the schedule, the constant that moves means as it does at this tau (a standard deviation; data lie in [-1, 1]).
        steps: solver steps.
        solver: the numerical method.
    """

    network: Literal["unet", "mlp"] = "unet"
    channels: tuple[int, int] = (32, 64)
    base_images: int = 102_400
    images: int = 9_600
    batch: int = 64
    start: Literal["base", "sequential"] = "base"
    rank: int | None = None
    condition_drop: float = 0.0
    learning_rate: float | None = None
    images_a_prompt: int = 1
    guidance_scale: float = 2.0
    guidance_schedule: Literal["constant", "exp_floor", "exp", "linear", "interval"] = "constant"
    guidance_rate: float = 3.0
    guidance_over: Literal["step", "timestep", "log_sigma"] = "step"
    guidance_interval: tuple[float, float] = (0.3, 3.0)
    below_one: bool = False
    matched: float | None = None
    steps: int = 10
    solver: Literal["euler", "heun", "ddim", "ancestral", "dpmpp_2m"] = "dpmpp_2m"

    def base(self) -> Base:
        """Return the base."""
        if self.network == "unet":
            return Base(channels=self.channels, images=self.base_images)
        objective = EDM(sigma_data=0.75, mean=-0.6, deviation=1.4)
        toy = Base("mlp", objective=objective, batch=128, optimiser="adamw", learning_rate=1e-3, decay="cosine", ema=0.0, precision="fp32")
        return replace(toy, images=self.base_images)

    def trainer(self) -> FineTune:
        """Return the trainer of every generation."""
        tune = FineTune(
            base=self.base(),
            images=self.images,
            batch=self.batch,
            start=self.start,
            rank=self.rank,
            condition_drop=self.condition_drop,
            learning_rate=self.learning_rate,
        )
        return tune if self.network == "unet" else replace(tune, optimiser="adamw", decay="cosine", ema=0.0, precision="fp32")

    def sampler(self, n: int) -> Denoised:
        """Return the sampler: ``images_a_prompt`` rows for each of ``n`` real rows.

        Raises:
            BadInput: a field of the guidance out of range, or ``matched`` without a schedule.
        """
        made = Denoised(
            n=n * self.images_a_prompt,
            steps=self.steps,
            solver=self.solver,
            guidance_scale=self._guidance(),
            sigma_min=0.02 if self.network == "unet" else 0.01,
            precision="auto" if self.network == "unet" else "fp32",
            images_a_prompt=self.images_a_prompt,
        )
        if self.matched is None:
            return made
        if not isinstance(made.guidance_scale, GuidanceSchedule) or self.matched <= 0:
            raise BadInput(
                f"matched needs a tau above 0 and a guidance schedule to match, but got {self.matched} and"
                f" {self.guidance_schedule}; give --guidance-schedule exp_floor, or --guidance-scale alone."
            )
        return replace(made, guidance_scale=effective_scale(made.scale(), self.matched, made.sigmas().tolist()))

    def mixer(self, real_data: float) -> Mixer:
        """Return the mixer that swaps this share of the last samples for the real rows in whose place they were made."""
        return Swapped(real_data, self.images_a_prompt) if real_data else Replace()

    def _guidance(self) -> float | GuidanceSchedule:
        return Setup(
            guidance_scale=self.guidance_scale,
            guidance_schedule=self.guidance_schedule,
            guidance_rate=self.guidance_rate,
            guidance_over=self.guidance_over,
            guidance_interval=self.guidance_interval,
            below_one=self.below_one,
        ).guidance()


EMBEDDED = ChainSetup()
# Section 6 of our notes: 30,000 steps of 128 for the base, 800 of 64 a generation, rank 16, Euler's method in 50 steps.
TOY = ChainSetup(
    network="mlp", base_images=3_840_000, images=51_200, rank=16, learning_rate=2e-3, guidance_scale=1.0, steps=50, solver="euler"
)
