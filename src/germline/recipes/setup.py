"""The network, its budget and its sampler: what every recipe of the small loop shares."""

from dataclasses import dataclass, replace
from typing import Literal

from germline.recipes.guidance_setup import GuidanceSetup
from germline.samplers import Denoised
from germline.trainers import TrainDenoiser


@dataclass(frozen=True)
class Setup(GuidanceSetup):
    """How models are trained and sampled. The defaults are the embedded scale: minutes on two processor cores.

    Attributes:
        founder_images: images that generation 0 sees in training.
        images: images that each later generation sees.
        batch: rows a step.
        start: where a later generation starts: new weights, the last generation's, or generation 0's.
        objective: what the network is trained to predict.
        optimiser: Muon, or AdamW as the papers use.
        learning_rate: of the optimiser; its own default when not given.
        ema: decay of the average of the weights that is sampled from; 0 is none.
        label_drop: share of rows trained without their label, so that guidance has something to extrapolate from.
        channels: width at the two resolutions.
        steps: solver steps. Fewer than 10 feed solver artefacts back into a guided loop.
        solver: the numerical method.
        schedule: the noise levels of the solver: Karras et al., or DDPM's own.
        clip: clip each predicted image to the range of images, as DDPM does.
    """

    founder_images: int = 51_200
    images: int = 9_600
    batch: int = 64
    start: Literal["scratch", "sequential", "base"] = "sequential"
    objective: Literal["flow", "edm", "ddpm-eps"] = "flow"
    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float | None = None
    ema: float = 0.99
    label_drop: float = 0.1
    channels: tuple[int, int] = (32, 64)
    steps: int = 10
    solver: Literal["euler", "heun", "ddim", "ancestral", "dpmpp_2m"] = "dpmpp_2m"
    schedule: Literal["karras", "ddpm"] = "karras"
    clip: bool = False

    def founder(self) -> TrainDenoiser:
        """Return the trainer of generation 0."""
        return replace(self.trainer(), images=self.founder_images, start="scratch")

    def trainer(self) -> TrainDenoiser:
        """Return the trainer of every later generation."""
        return TrainDenoiser(
            images=self.images,
            batch=self.batch,
            start=self.start,
            objective=self.objective,
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            ema=self.ema,
            label_drop=self.label_drop,
            channels=self.channels,
        )

    def sampler(self, n: int) -> Denoised:
        """Return the sampler of ``n`` rows a generation."""
        return Denoised(n=n, steps=self.steps, solver=self.solver, guidance_scale=self.guidance(), schedule=self.schedule, clip=self.clip)


# arXiv 2509.16499, launch scripts: DDPM, eps prediction, fresh weights, 128,000 steps of 128, AdamW 1e-4, ancestral sampling with
# 1,000 steps, no guidance, no EMA. Its network (a 6-level U-Net of 16 M parameters, unconditional) is not ours: see DESIGN.md.
PAPER_ENTROPY = Setup(
    founder_images=16_384_000,
    images=16_384_000,
    batch=128,
    start="scratch",
    objective="ddpm-eps",
    optimiser="adamw",
    learning_rate=1e-4,
    ema=0.0,
    channels=(128, 256),
    guidance_scale=1.0,
    steps=1_000,
    solver="ancestral",
    schedule="ddpm",
    clip=True,
)
# arXiv 2511.12742 through a third party's summary: 1,000 rows, 3 passes of fine-tuning, from the last generation's weights
# (assumed), eps prediction, ancestral sampling with 250 steps; generation 0's budget is unknown, ours is the embedded one.
# Its EMA of 0.9995 would hide all change in 24 steps, so ours is 0.9.
PAPER_LSF = Setup(
    images=3_000,
    batch=128,
    objective="ddpm-eps",
    optimiser="adamw",
    learning_rate=1e-4,
    ema=0.9,
    channels=(64, 128),
    guidance_scale=1.0,
    steps=250,
    solver="ancestral",
    schedule="ddpm",
    clip=True,
)
EMBEDDED = Setup()
