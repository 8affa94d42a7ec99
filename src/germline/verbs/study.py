"""All arms of a study."""

from pathlib import Path

import tyro

from germline import registry
from germline.core.digest import Json
from germline.core.errors import GermlineError
from germline.registry import DataFlags, plain
from germline.study import Arm, run_arms
from germline.verbs.arguments import FOLDER, Name


def study(
    name: Name,
    out: Path | None = None,
    generations: int = 5,
    seeds: int = 1,
    processes: int | None = None,
    real_images: tyro.conf.OmitArgPrefixes[DataFlags] = DataFlags(),  # noqa: B008
) -> None:
    """Run all arms of a study side by side, with one generation 0 a seed.

    Examples:
      germline study demo --out runs/demo

    Args:
        name: the study (see: germline ls).
        out: folder of the study; runs/NAME when not given.
        generations: generations after generation 0.
        seeds: number of seeds, each with its own generation 0. Under 3, no interval and no ordering means anything.
        processes: arms at once; as many as there are cores when not given.
        real_images: which real images.
    """
    arms_of = registry.find(name, registry.study_names(), "study")
    folder = out or FOLDER / name
    kept: dict[str, Json] = {"study": name, "data": plain(real_images)}
    arms = [
        Arm(folder / (arm if seeds == 1 else f"{arm}-seed{seed}"), recipe, seed, {**kept, "arm": arm})
        for seed in range(seeds)
        for arm, recipe in arms_of()
    ]
    failed = run_arms(arms, real_images.load, registry.standard_metrics(), generations, processes)
    if failed:
        raise GermlineError(
            "\n".join(f"{arm} failed: {error}" for arm, error in failed.items()) + "\nThe others are finished; run again to go on."
        )
    print(f"{folder}: {len(arms)} arms finished. Look at them: germline report {folder}")
