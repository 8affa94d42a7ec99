"""The noise levels of a pipeline: those that its scheduler visits, and those that its network was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from germline.core.errors import BadInput
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.pipelines.guided import level
from germline.pipelines.opened import WHO, open_pipeline, place
from germline.pipelines.process import Process, process_of
from germline.pipelines.schedulers import Name, Scheduler, scheduler


@dataclass(frozen=True, eq=False)
class Noise:
    """What is read of a folder without its weights: where it lies and how noise is mixed in."""

    folder: Path
    process: Process


def noise_of(source: Path | str, revision: str | None = None) -> Noise:
    """Return the noise of a pipeline; one on the hub is downloaded, once.

    Raises:
        BadInput: there is no such pipeline, or its noise is not known here.
    """
    found = place(source)
    folder = found if isinstance(found, Path) else open_pipeline(found, revision).folder
    return Noise(folder, process_of(WHO, folder / "scheduler" / "scheduler_config.json"))


def sigmas(noise: Noise, name: Name, steps: int) -> tuple[float, ...]:
    """Return the noise levels, largest first, that a scheduler visits in so many steps, and a last 0.

    Raises:
        BadInput: the scheduler cannot be made, or its steps depend on more than their number.
    """
    method = scheduler(noise, name)
    try:
        method.set_timesteps(steps)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{WHO}: the noise levels of {noise.folder} are not known before it runs: {error}") from error
    return *visited(noise.process, method), 0.0


def visited(process: Process, method: Scheduler) -> list[float]:
    """Return the levels of a scheduler whose steps are set, largest first."""
    return sorted({level(process, float(t)) for t in method.timesteps}, reverse=True)


def trained(process: Process) -> list[float]:
    """Return the levels of training, smallest first; flow matching has none at t = 0, the image."""
    flow = process.alpha_bar is None
    return [level(process, t) for t in range(flow, process.steps + flow)]


def scale_on(schedule: GuidanceSchedule, process: Process, grid: list[float]) -> Callable[[float], float]:
    """Return sigma -> guidance scale on these levels, u = timestep counted in the levels of training.

    Raises:
        BadInput: the schedule does not fit them.
    """
    try:
        return schedule.of(grid, trained(process))
    except ValueError as error:
        raise BadInput(f"Guidance: {error}") from error
