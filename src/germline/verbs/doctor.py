"""Whether a text-to-image model runs here, and what it takes."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Literal

import tyro

from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.doctor import Measured, Report, Run, examine
from germline.pipelines.lora import Lora
from germline.pipelines.schedulers import Name
from germline.recipes.pipeline_setup import CARDS, tuner
from germline.registry import plain
from germline.samplers import SamplePipeline
from germline.scorers.named import scorer as scorer_of
from germline.scorers.published import Check, there
from germline.trainers import TunePipeline
from germline.verbs.arguments import print_json

Several = tyro.conf.UseAppendAction[tuple[str, ...]]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


def doctor(
    model: str,
    revision: str | None = None,
    prompt: str = "a photograph of a red bicycle leaning on a wall",
    scorer: Several = (),
    pictures: Path | None = None,
    card: Literal[12, 16, 24] | None = None,
    full: bool = False,
    rank: int = 16,
    batch: int = 4,
    size: int | None = None,
    steps: int = 30,
    scheduler: Name = "own",
    guidance_scale: float = 7.5,
    precision: Precision = "auto",
    generations: int = 5,
    images: int = 8_000,
    rows: int = 1_000,
    json: bool = False,
) -> None:
    """Draw one image, train two weighted steps, run each scorer; print memory, images a second, and the hours of a run.

    Examples:
      germline doctor --model stable-diffusion-v1-5/stable-diffusion-v1-5 --card 12
      germline doctor --model pipeline/ --scorer imagereward:weights/ImageReward.pt --pictures ImageReward/assets/images

    Args:
        model: a folder in the layout of diffusers, or a name on the hub: Stable Diffusion 1, 2, XL or 3.
        revision: of a name on the hub.
        prompt: of the image.
        scorer: which to run (hps_v2.1:WEIGHTS, clip, http://...), once for each; those whose weights the hub left here when not given.
        pictures: a folder with the pictures that authors of scorers published numbers for: 1.webp to 4.webp of ImageReward,
            demo_image.jpg of HPS v2.
        card: settings for a card of so many GB, instead of batch and precision.
        full: train the whole U-Net, instead of a LoRA.
        rank: of the LoRA.
        batch: rows a training step.
        size: pixels a side; the model's own when not given.
        steps: of the scheduler, for an image.
        scheduler: the model's own, or a method by name.
        guidance_scale: w, 1 is none.
        precision: of the networks; auto is what a run would take here.
        generations: of the run whose hours are reckoned, beside generation 0.
        images: that each generation sees in training.
        rows: that each generation samples.
        json: print JSON.
    """
    lora = None if full else Lora(rank)
    trainer = TunePipeline(model, batch=batch, lora=lora, precision=precision)
    if card is not None:
        trainer = tuner(model, CARDS[card, "full" if full else "lora"], lora)
    trainer = replace(trainer, revision=revision, size=size, condition_drop=0.0)
    drawn: Precision = trainer.precision if precision == "auto" else precision
    sampler = SamplePipeline(1, steps, scheduler, guidance_scale, size=size, precision=drawn)
    found = examine(trainer, sampler, prompt, [scorer_of(name) for name in scorer or _there()], pictures, Run(generations, images, rows))
    for warning in found.warnings:
        warnings.warn(warning, stacklevel=2)
    if json:
        print_json({"model": model, **vars_of(found)})
    else:
        print("\n".join(text(model, found)))
    if odd := [scored.name for scored in found.scorers if any(check.passed is False for check in scored.published)]:
        raise BadInput(f"{', '.join(odd)} does not give its published numbers: other weights, or other libraries that resize pictures.")


def _there() -> tuple[str, ...]:
    names = there()
    if not names:
        print("The hub left no scorer's weights here; name some with --scorer.", file=sys.stderr)
    return names


def vars_of(report: Report) -> dict[str, Json]:
    """Return a report as JSON."""
    found = plain(report)
    assert isinstance(found, dict)
    return found


def text(model: str, report: Report) -> list[str]:
    """Return a report in lines."""
    where, run = "of the device" if report.device[:4] != "cpu," else "of this process so far", report.run
    rows = [
        ("model", f"{model}: {report.kind}, {report.size} x {report.size} pixels"),
        ("here", f"{report.device}; " + ", ".join(f"{name} {found}" for name, found in report.versions.items())),
        ("sampling", f"{_rate(report.sampling)}, {report.evaluations} evaluations an image, {report.precision[0]}"),
        ("training", f"{_rate(report.training)}, {report.batch} rows a step, {report.trained:,} numbers train, {report.precision[1]}"),
    ]
    for scored in report.scorers:
        rows.append((scored.name, f"{scored.score:.4f} for the image drawn; {_rate(scored.measured)}"))
        rows += [("", line) for check in scored.published for line in [_published(check)]]
    a_run = f"generations 0 to {run.generations}, each training on {run.images:,} images and sampling {run.rows:,}"
    rows.append(("a run", f"{report.hours:,.1f} hours for {a_run}; metrics come on top"))
    return [f"{name:12}{line}" for name, line in rows] + [f"Memory is the largest {where}."]


def _rate(measured: Measured) -> str:
    return f"{measured.images_per_second:.3g} images a second, {measured.peak / 1e9:.2f} GB"


def _published(check: Check) -> str:
    expected = ", ".join(f"{value:g}" for value in check.expected)
    if check.found is None:
        return f"published {expected} ({check.source}): not compared, give --pictures"
    found = ", ".join(f"{value:.4f}" for value in check.found)
    return f"published {expected} ({check.source}), found {found}: {'equal' if check.passed else 'NOT EQUAL'}"
