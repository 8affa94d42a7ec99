"""The base, how generations fine-tune it, and how they are sampled: what the Chain of Diffusion and ReDiFine share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from germline.core.errors import BadInput
from germline.core.protocols import Mixer, Sampler, Trainer
from germline.diffusion.denoiser import EDM
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.diffusion.model import ClassModel
from germline.mixers import Replace, Swapped
from germline.pipelines.lora import Lora
from germline.pipelines.opened import open_pipeline, place
from germline.recipes.guidance_setup import GuidanceSetup
from germline.recipes.pipeline_setup import CARDS, Card, tuner
from germline.samplers import Denoised, SamplePipeline
from germline.theory.guided_gaussian import effective_scale
from germline.trainers import Base, FineTune, TunePipeline


@dataclass(frozen=True)
class ChainSetup(GuidanceSetup):
    """How the base is made, fine-tuned and sampled. The defaults are the embedded scale, on the compact U-Net.

    Attributes:
        network: what is fine-tuned: the compact U-Net; the MLP of the 8x8 toy with its own objective, optimiser and fp32; or a
            pretrained text-to-image pipeline, whose preset is text-to-image.
        model: of a pipeline: a folder in the layout of diffusers, a name on the hub, or emoji, which is shipped.
        revision: of a name on the hub: a commit, a tag or a branch.
        channels: width of the U-Net at the two resolutions.
        base_images: images that the base sees in training, once for all runs beside each other.
        images: images that each generation sees in fine-tuning, generation 0 on R too: batch times steps.
        batch: rows a step.
        start: where every generation starts: the base, or (but for generation 0) the last generation's model.
        rank: of a low-rank change (LoRA); all weights when not given, of a pipeline only Stable Diffusion 1 and 2.
        condition_drop: share of rows trained without their class.
        learning_rate: of fine-tuning; its own default when not given.
        min_snr: of a pipeline: gamma of the min-SNR weight of the loss (arXiv 2303.09556); none when not given.
        ema: of a pipeline: decay of the running mean of the weights that is sampled from; 0 keeps the last.
        card: of a pipeline: GB of a graphics card that training must fit: pieces, checkpointing, 8-bit momenta, bf16.
        pixels: of a pipeline: the side that it is trained and sampled at; its own when not given. --size brings the data to it.
        images_a_prompt: samples for each real row, with its class, in the order of the real rows.
        matched: in place of the schedule, the constant that moves means as it does at this tau (a standard deviation; data lie in [-1, 1]).
        steps: solver steps.
        solver: the numerical method; "own" is a pipeline's own scheduler.
    """

    network: Literal["unet", "mlp", "pipeline"] = "unet"
    model: str | None = None
    revision: str | None = None
    channels: tuple[int, int] = (32, 64)
    base_images: int = 102_400
    images: int = 9_600
    batch: int = 64
    start: Literal["base", "sequential"] = "base"
    rank: int | None = None
    condition_drop: float = 0.0
    learning_rate: float | None = None
    min_snr: float | None = None
    ema: float = 0.0
    card: Literal[12, 16, 24] | None = None
    pixels: int | None = None
    images_a_prompt: int = 1
    matched: float | None = None
    steps: int = 10
    solver: Literal["own", "euler", "heun", "ddim", "ancestral", "dpmpp_2m"] = "dpmpp_2m"

    def __post_init__(self) -> None:
        if self.network == "pipeline":
            if self.model is None:
                raise BadInput("A chain of a text-to-image pipeline needs one: --model FOLDER, or its name on the hub.")
            if self.solver in ("heun", "ancestral"):
                raise BadInput(f"There is no solver {self.solver} of pipelines; take own, ddim, euler or dpmpp_2m.")
            return
        given = [name for name in ("model", "revision", "min_snr", "card", "pixels") if getattr(self, name) is not None]
        given += ["ema"] * bool(self.ema) + ["solver own"] * (self.solver == "own")
        if given:
            raise BadInput(f"Only pipelines have {', '.join(given)}; leave it out, or take --preset text-to-image.")

    def base(self) -> Base:
        """Return the base."""
        if self.network == "unet":
            return Base(channels=self.channels, images=self.base_images)
        objective = EDM(sigma_data=0.75, mean=-0.6, deviation=1.4)
        toy = Base("mlp", objective=objective, batch=128, optimiser="adamw", learning_rate=1e-3, decay="cosine", ema=0.0, precision="fp32")
        return replace(toy, images=self.base_images)

    def trainer(self) -> Trainer[ClassModel]:
        """Return the trainer of every generation."""
        if self.network == "pipeline":
            return cast(Trainer[ClassModel], self._tuner())  # a recipe's name stands for recipes of either model
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

    def _tuner(self) -> TunePipeline:
        made = tuner(
            self.source(),
            CARDS[self.card, "full" if self.rank is None else "lora"] if self.card else Card(precision="auto"),
            None if self.rank is None else Lora(rank=self.rank),
            images=self.images,
            condition_drop=self.condition_drop,
        )
        own = replace(made, batch=self.batch, accumulate=min(made.accumulate, self.batch), start=self.start, revision=self.revision)
        return replace(own, learning_rate=self.learning_rate, min_snr=self.min_snr, ema=self.ema, size=self.pixels)

    def source(self) -> str:
        """Return the pipeline's folder or its name on the hub.

        Raises:
            BadInput: there is none: the network is trained here.
        """
        if self.model is None:
            raise BadInput(f"This takes a pipeline's parts, but the network is {self.network}; give --model.")
        return self.model

    def own_side(self) -> int:
        """Return the pixels a side that the pipeline was trained on."""
        return open_pipeline(self.source(), self.revision).size

    def sampler(self, n: int) -> Sampler[ClassModel]:
        """Return the sampler: ``images_a_prompt`` rows for each of ``n`` real rows.

        Raises:
            BadInput: a field of the guidance out of range, or ``matched`` without a schedule.
        """
        made = self._pipeline(n) if self.network == "pipeline" else self._denoised(n)
        schedule = made.guidance_scale
        if self.matched is None:
            if isinstance(made, SamplePipeline) and isinstance(schedule, GuidanceSchedule) and Path(place(self.source())).is_dir():
                made.scale()  # says now, not after a training, that it falls below 1
            return cast(Sampler[ClassModel], made)
        if not isinstance(schedule, GuidanceSchedule) or self.matched <= 0:
            raise BadInput(
                f"matched needs a tau above 0 and a guidance schedule to match, but got {self.matched} and"
                f" {self.guidance_schedule}; give --guidance-schedule exp_floor, or --guidance-scale alone."
            )
        constant = effective_scale(made.scale(), self.matched, [*map(float, made.sigmas())])
        return cast(Sampler[ClassModel], replace(made, guidance_scale=constant))

    def _pipeline(self, n: int) -> SamplePipeline:
        assert self.solver != "heun"
        assert self.solver != "ancestral"
        return SamplePipeline(
            n=n * self.images_a_prompt,
            steps=self.steps,
            scheduler=self.solver,
            guidance_scale=self.guidance(),
            images_a_prompt=self.images_a_prompt,
            size=self.pixels,
            base=self.source(),
            revision=self.revision,
        )

    def _denoised(self, n: int) -> Denoised:
        assert self.solver != "own"
        return Denoised(
            n=n * self.images_a_prompt,
            steps=self.steps,
            solver=self.solver,
            guidance_scale=self.guidance(),
            sigma_min=0.02 if self.network == "unet" else 0.01,
            precision="auto" if self.network == "unet" else "fp32",
            images_a_prompt=self.images_a_prompt,
        )

    def mixer(self, real_data: float) -> Mixer:
        """Return the mixer that swaps this share of the last samples for the real rows in whose place they were made."""
        return Swapped(real_data, self.images_a_prompt) if real_data else Replace()


EMBEDDED = ChainSetup()
# Section 6 of our notes: 30,000 steps of 128 for the base, 800 of 64 a generation, rank 16, Euler's method in 50 steps.
TOY = ChainSetup(
    network="mlp", base_images=3_840_000, images=51_200, rank=16, learning_rate=2e-3, guidance_scale=1.0, steps=50, solver="euler"
)
# Ours, as all numbers of the paper's pipelines are unknown to us. --model names another pipeline.
TEXT_TO_IMAGE = ChainSetup(
    network="pipeline",
    model="stable-diffusion-v1-5/stable-diffusion-v1-5",
    images=8_000,
    batch=8,
    rank=16,
    guidance_scale=7.5,
    guidance_over="timestep",
    steps=30,
    solver="own",
)
# The model that is shipped, on 240 emoji in a style that it never saw: small enough for a laptop. Ours.
EMOJI = replace(TEXT_TO_IMAGE, model="emoji", images=1_920, batch=32, learning_rate=1e-3, guidance_scale=3.0, steps=10)
EMOJI_ROWS = 240
