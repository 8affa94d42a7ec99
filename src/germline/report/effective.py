"""What a guidance schedule amounts to: the constant scale that moves means as much, beside every schedule that is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from germline.core.digest import Json
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.theory.guided_gaussian import TAUS, Scale, effective_scale

DENOISED, PIPELINE = "germline.samplers.denoised:Denoised", "germline.samplers.sample_pipeline:SamplePipeline"
SCHEDULE = f"{GuidanceSchedule.__module__}:{GuidanceSchedule.__qualname__}"


@dataclass(frozen=True)
class Effective:
    """A schedule in words, u included, and s_eff for images whose spread is tau: (tau, s_eff) each; none where the levels are unknown.

    ``levels`` says which noise levels it was taken over.
    """

    schedule: str
    scales: tuple[tuple[float, float], ...]
    levels: str

    @property
    def numbers(self) -> str:
        """The effective scales in words."""
        if not self.scales:
            return f"unknown, as are the noise levels of {self.levels}"
        return ", ".join(f"{scale:.2f} at tau {tau:g}" for tau, scale in self.scales) + f" (over {self.levels})"

    @property
    def text(self) -> str:
        """Schedule and effective scales in words."""
        return f"{self.schedule}; s_eff {self.numbers}"

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {"schedule": self.schedule, "levels": self.levels, "s_eff": {f"{tau:g}": scale for tau, scale in self.scales}}


def effective(parts: Json, names: Json = None) -> Effective | None:
    """Return what the schedule in a recipe's described parts amounts to; None where guidance is constant.

    Parts know a pipeline by its content; ``names``, those of a run's config.json, say where it lies. Where it is no folder here, the noise
    levels are Stable Diffusion's.

    tau is the standard deviation of images of one class, or along one direction of them, in the units that the sampler works in: pixels
    from -1 to 1, or scaled latents. The formula is ours: see theory/guided_gaussian.
    """
    for sampler in _samplers(parts):
        given = sampler["guidance_scale"]
        assert isinstance(given, Mapping)
        fields = {key: value for key, value in given.items() if key not in ("part", "version")}
        return _of(sampler, GuidanceSchedule(**fields), _folder(names))  # type: ignore[arg-type]
    return None


def of_config(config: Mapping[str, Json]) -> Effective | None:
    """Return what the schedule of a run amounts to, from its config.json; None where guidance is constant."""
    return effective(config.get("parts"), config.get("names"))


def over(schedule: GuidanceSchedule, scale: Scale, sigmas: list[float], levels: str) -> Effective:
    """Return what a schedule amounts to over these noise levels."""
    return Effective(schedule.text(), tuple((tau, effective_scale(scale, tau, sigmas)) for tau in TAUS), levels)


def _samplers(value: Json) -> Iterator[Mapping[str, Json]]:
    """Yield every part whose guidance scale is a schedule, however deep it is wrapped."""
    if isinstance(value, Mapping):
        scale = value.get("guidance_scale")
        if isinstance(scale, Mapping) and scale.get("part") == SCHEDULE:
            yield value
        for inner in value.values():
            yield from _samplers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _samplers(inner)


def _folder(names: Json) -> Path | None:
    """Return the folder of the pipeline that a run's names tell; None where they tell none, or it is no longer there."""
    kwargs = names.get("kwargs") if isinstance(names, Mapping) else None
    setup = kwargs.get("setup") if isinstance(kwargs, Mapping) else None
    model = setup.get("model") if isinstance(setup, Mapping) else None
    return Path(model).expanduser() if isinstance(model, str) and Path(model).expanduser().is_dir() else None


def _of(sampler: Mapping[str, Json], schedule: GuidanceSchedule, folder: Path | None) -> Effective:
    if sampler.get("part") == DENOISED:
        from germline.samplers.denoised import Denoised  # torch, which a page about other runs does not need

        fields = {key: value for key, value in sampler.items() if key not in ("part", "version", "guidance_scale")}
        made = Denoised(guidance_scale=schedule, **fields)  # type: ignore[arg-type]
        grid = made.sigmas().tolist()
        return over(schedule, made.scale(), grid, f"sigma {grid[0]:.3g} to {grid[-2]:.3g}")
    if sampler.get("part") == PIPELINE and folder is not None:
        from germline.samplers.sample_pipeline import SamplePipeline

        fields = {key: value for key, value in sampler.items() if key not in ("part", "version", "guidance_scale")}
        pipeline = SamplePipeline(guidance_scale=schedule, base=folder, **fields)  # type: ignore[arg-type]
        grid = [*pipeline.sigmas()]
        return over(schedule, pipeline.scale(), grid, f"sigma {grid[0]:.3g} to {grid[-2]:.3g} of {folder.name}")
    if sampler.get("part") == PIPELINE:
        levels = stable_diffusion_levels()
        return over(schedule, schedule.of(levels[::-1], levels), levels[::-1], "Stable Diffusion's sigma 14.6 to 0.029")
    return Effective(schedule.text(), (), str(sampler.get("part")).rpartition(":")[2])


def stable_diffusion_levels() -> list[float]:
    """Return the 1,000 noise levels of Stable Diffusion's scaled-linear betas, from .00085 to .012, smallest first.

    Source: the scheduler_config.json of Stable Diffusion 1.x and XL; a folder of its own may have others.
    """
    beta = np.linspace(0.00085**0.5, 0.012**0.5, 1_000) ** 2
    levels: list[float] = np.sqrt(1 / np.cumprod(1 - beta) - 1).tolist()
    return levels
