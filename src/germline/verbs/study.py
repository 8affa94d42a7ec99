"""All arms of a study; its help needs none of what runs them, so that is imported later."""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from germline import registry
from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError
from germline.core.generation import refuse_fewer_than_none
from germline.core.names import find
from germline.registry import DataFlags
from germline.verbs.arguments import FOLDER, Name, print_json

OWN = "own"


@dataclass(frozen=True)
class StudyData(DataFlags):
    """Which real images.

    Attributes:
        data: a named set (see: germline ls), or a folder, .npz, .npy or Parquet file of yours; "own" is what the study is made for.
    """

    data: str = OWN


def study(
    name: Name,
    out: Path | None = None,
    generations: int = 5,
    seeds: int = 1,
    sweep: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    preset: str = "embedded",
    only: tuple[str, ...] = (),
    processes: int | None = None,
    against: str | None = None,
    dry_run: bool = False,
    accept_drift: bool = False,
    json: bool = False,
    real_images: tyro.conf.OmitArgPrefixes[StudyData] = StudyData(),
) -> None:
    """Run all arms of a study, or of a recipe swept over flags, side by side; one generation 0 a seed; then compare them.

    Running again goes on: with more generations, with more seeds, or where something failed or was killed.

    Examples:
      germline study demo --out runs/demo
      germline study loop-warm --seeds 5 --dry-run
      germline study replace --sweep guidance-scale=1,1.5,2 --seeds 3
      germline study redifine --only constant-2 both-2 --seeds 3

    Args:
        name: a study or a recipe (see: germline ls).
        out: folder of the study; runs/NAME when not given.
        generations: generations after generation 0.
        seeds: number of seeds, each with its own generation 0. Under 3, no interval and no ordering is printed.
        sweep: a recipe's flag and its values, guidance-scale=1,1.5,2; one value sets it for all arms. Given again for another flag, every
            combination is an arm.
        preset: of a recipe: the scale that decides every other flag.
        only: names of the arms to run; all when not given. Later ones join those that the folder has.
        processes: arms at once; as many as cores and memory allow when not given.
        against: the arm that others are compared with; real-only when not given and there, else the first.
        dry_run: print arms, images, rows and a time estimate, and stop.
        accept_drift: go on although library versions changed since the runs began.
        json: print JSON.
        real_images: which real images.
    """
    from germline.plan import plan
    from germline.report.compare import caveat
    from germline.report.printed import print_comparisons
    from germline.study import run_arms
    from germline.verbs.study_arms import arms_of, compared, metrics_of, name_of, print_plan

    if seeds < 1:
        raise BadInput(f"--seeds must be at least 1, but is {seeds}.")
    refuse_fewer_than_none(generations)
    flags = data_of(name, preset, real_images)
    folder = out or FOLDER / name.rsplit(":", 1)[-1]
    arms, flags = arms_of(name, sweep, preset, folder, seeds, flags)
    for wanted in (*only, *([against] if against else [])):
        find(wanted, {name_of(arm): arm for arm in arms}, "arm")
    arms = [arm for arm in arms if not only or name_of(arm) in only]
    if dry_run:
        return print_plan(plan(arms, flags.load(), generations, processes), json)
    data = flags.load()
    arms = [replace(arm, metrics=tuple(registry.metrics_of(arm.recipe, data))) for arm in arms]
    metrics = [*registry.metrics_for(data), *metrics_of(name)]
    failed = run_arms(arms, flags.load, metrics, generations, processes, accept_drift)
    comparisons = compared(arms, against)
    if json:
        paths: list[Json] = [str(arm.path) for arm in arms]
        found = {"comparisons": [comparison.to_json() for comparison in comparisons], "caveat": caveat(comparisons)}
        print_json({"folder": str(folder), "runs": paths, "failed": failed, **found})
    else:
        print_comparisons(comparisons)
    if failed:
        lines = [f"{arm} failed: {error}" for arm, error in failed.items()]
        raise GermlineError("\n".join([*lines, "The others are finished; run again to go on."]))
    if not json:
        print(f"{folder}: {len(arms)} runs finished. Look at them: germline report {folder}")


def data_of(name: str, preset: str, given: StudyData) -> DataFlags:
    """Return which real images are meant: those named, else the study's own, or those that the recipe's preset is made for."""
    from germline.flags import made_for

    known = registry.study_names()
    preset_is = made_for(registry.defaults(name, preset), preset) if registry.is_recipe(name) else DataFlags()
    own = known[name].data if name in known else preset_is.data
    return DataFlags(**{**vars(given), "data": own if given.data == OWN else given.data})
