"""From noise to latents by diffusers' own pipelines, with guidance in a wrapper of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from germline.core.errors import BadInput
from germline.core.extras import imported
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.pipelines.guided import Guided
from germline.pipelines.levels import scale_on, visited
from germline.pipelines.opened import KINDS, NETWORK, WHO, Opened
from germline.pipelines.schedulers import Scheduler

MULTIPLE = 8  # of pixels: diffusers' pipelines take no others


def denoised(
    opened: Opened,
    network: nn.Module,
    scheduler: Scheduler,
    told: Mapping[str, Tensor],
    null: Mapping[str, Tensor],
    scale: float | GuidanceSchedule,
    steps: int,
    start: Float32[Tensor, "n c h w"],
    generators: Sequence[torch.Generator],
    see: Callable[[float, Tensor], None] | None = None,
) -> Float32[Tensor, "n c h w"]:
    """Return the latents of ``start``, standard normal noise, after ``steps`` steps, on the CPU.

    Args:
        opened: whose pipeline it is.
        network: U-Net or transformer, on its device and in its precision.
        scheduler: the method; its own settings of the noise levels count.
        told: one row a prompt (``texts.told``).
        null: one row: what guidance sets against the prompts.
        scale: w, or its schedule over the noise levels that the scheduler visits.
        steps: of the scheduler.
        start: one row an image.
        generators: one a row, for schedulers that draw noise.
        see: is shown sigma and x0_hat, latents, of every step.

    Raises:
        BadInput: the size of the image is not one that diffusers takes, or the schedule of the scale does not fit the noise levels.
    """
    height, width = (opened.factor * side for side in start.shape[2:])
    if height % MULTIPLE or width % MULTIPLE:
        raise BadInput(f"{WHO}: diffusers makes images whose sides are multiples of {MULTIPLE}, but {height} x {width} were asked for.")
    (name,) = (name for name, kind in KINDS.items() if kind == opened.kind)
    w = bound(scale, opened, scheduler) if isinstance(scale, GuidanceSchedule) else scale
    guided = Guided(network, null, w, opened.process, see)
    pipeline = getattr(imported(WHO, "diffusers", "t2i"), name)(**_parts(opened, guided), scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    device = next(network.parameters()).device
    pooled = told.get("text_embeds", told.get("pooled_projections"))
    with torch.inference_mode():
        out: Tensor = pipeline(
            prompt_embeds=told["encoder_hidden_states"].to(device),
            **({} if pooled is None else {"pooled_prompt_embeds": pooled.to(device)}),
            height=height,
            width=width,
            num_inference_steps=steps,
            guidance_scale=1.0,
            generator=list(generators),
            latents=start.to(device),
            output_type="latent",
            return_dict=False,
        )[0]
    return out.float().cpu()


def bound(schedule: GuidanceSchedule, opened: Opened, scheduler: Scheduler) -> Callable[[float], float]:
    """Return sigma -> w on the noise levels of the scheduler, which a pipeline sets just before it begins."""
    process = opened.process

    @cache
    def of_levels() -> Callable[[float], float]:
        return scale_on(schedule, process, visited(process, scheduler))

    return lambda sigma: of_levels()(sigma)


def _parts(opened: Opened, network: nn.Module) -> dict[str, object]:
    """Return the parts of a pipeline that is given embeddings and gives latents."""
    none: tuple[str, ...] = ("vae", "text_encoder", "tokenizer")
    if opened.kind == "sd1":
        more: dict[str, object] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    else:
        none += ("text_encoder_2", "tokenizer_2")
        more = {"add_watermarker": False} if opened.kind == "sdxl" else {"text_encoder_3": None, "tokenizer_3": None}
    return {**dict.fromkeys(none), NETWORK[opened.kind]: network, **more}
