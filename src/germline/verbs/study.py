"""All arms of a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro

from germline import registry, sweep
from germline.chain import CONFIG
from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError
from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.flags import counted, preset_of, sided
from germline.plan import Plan, plan
from germline.registry import DataFlags, plain
from germline.report.compare import Comparison, arm_name, caveat, compare
from germline.report.printed import print_comparisons
from germline.report.tidy import read
from germline.study import Arm, place, run_arms
from germline.verbs.arguments import FOLDER, Name, print_json

OWN = "own"
Made = dict[str, tuple[Recipe[ClassModel], dict[str, Json]]]


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
    if seeds < 1:
        raise BadInput(f"--seeds must be at least 1, but is {seeds}.")
    flags = data_of(name, real_images)
    folder = out or FOLDER / name.rsplit(":", 1)[-1]
    arms, flags = arms_of(name, sweep, preset, folder, seeds, flags)
    for wanted in (*only, *([against] if against else [])):
        registry.find(wanted, {name_of(arm): arm for arm in arms}, "arm")
    arms = [arm for arm in arms if not only or name_of(arm) in only]
    if dry_run:
        return print_plan(plan(arms, flags.load(), generations, processes), json)
    metrics = [*registry.metrics_for(flags.load()), *metrics_of(name)]
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


def print_plan(found: Plan, json: bool) -> None:
    """Print what the study would do and cost."""
    print_json(plain(found)) if json else print(found.text())


def compared(arms: list[Arm[ClassModel]], against: str | None) -> list[Comparison]:
    """Return the comparisons of what was measured of the arms; a reference of which nothing was is not one."""
    records = [read(arm.path) for arm in arms if (arm.path / CONFIG).exists()]
    measured = {arm_name(record) for record in records if any(record.values)}
    return compare(records, against if against in measured else None)


def name_of(arm: Arm[ClassModel]) -> str:
    """Return an arm's name without its seed."""
    return arm.path.name.removesuffix(f"-seed{arm.seed}")


def metrics_of(name: str) -> tuple[Metric, ...]:
    """Return what a study measures beside the standard metrics; nothing for a recipe."""
    known = registry.study_names()
    return known[name].metrics if name in known else ()


def data_of(name: str, given: StudyData) -> DataFlags:
    """Return which real images are meant: those named, else the study's own."""
    known = registry.study_names()
    own = known[name].data if name in known else DataFlags().data
    return DataFlags(**{**vars(given), "data": own if given.data == OWN else given.data})


def arms_of(
    name: str, sweeps: tuple[str, ...], preset: str, folder: Path, seeds: int, flags: DataFlags
) -> tuple[list[Arm[ClassModel]], DataFlags]:
    """Return the arms, seed by seed, and their data's flags; a swept arm is an ordinary run of its recipe, so every verb can rebuild it.

    Raises:
        BadInput: there is no such study or recipe, or a study was given what only a recipe can take.
    """
    studies = registry.study_names()
    if name in studies:
        if sweeps or preset != "embedded":
            raise BadInput(f"{name} is a study: its arms are fixed. Sweep a recipe: germline study replace --sweep guidance-scale=1,2")
        made: Made = {arm: (recipe, {"study": name, "arm": arm}) for arm, recipe in studies[name]()}
    else:
        if not registry.is_recipe(name):
            registry.find(name, {**studies, **registry.recipe_names()}, "study or recipe")
        brought = registry.packages(name, flags.data)
        swept, flags = settled(sweep.arms_of(name, sweeps, preset_for(name, sweeps, preset)), flags)
        made = {
            arm: (registry.function_of(name)(**kwargs), {"recipe": name, "kwargs": plain(kwargs), **brought})
            for arm, kwargs in swept.items()
        }
    data: dict[str, Json] = {"data": plain(flags)}
    arms = [
        Arm(place(folder, arm, seed, seeds), recipe, seed, {**names, **data})
        for seed in range(seeds)
        for arm, (recipe, names) in made.items()
    ]
    return arms, flags


def preset_for(name: str, sweeps: tuple[str, ...], preset: str) -> str:
    """Return the preset; where none is named and a model is, that of pipelines."""
    return preset if preset != "embedded" else preset_of(name, [f"--{sweep.removeprefix('--')}" for sweep in sweeps])


def settled(swept: Mapping[str, dict[str, object]], flags: DataFlags) -> tuple[dict[str, dict[str, object]], DataFlags]:
    """Return the arms' keyword arguments and their data's flags, with what was left to a pipeline or to the data.

    Raises:
        BadInput: the arms' pipelines have images of different sizes.
    """
    sides = {arm: sided(kwargs, flags) for arm, kwargs in swept.items()}
    sizes = {of.size for _, of in sides.values()}
    if len(sizes) > 1:
        raise BadInput(f"The arms' pipelines make images of different sides, {', '.join(map(str, sizes))}; give one for all with --size.")
    flags = next(of for _, of in sides.values())
    if all(kwargs.get("n", 0) is not None for kwargs, _ in sides.values()):
        return {arm: kwargs for arm, (kwargs, _) in sides.items()}, flags
    data = flags.load()
    return {arm: counted(kwargs, data) for arm, (kwargs, _) in sides.items()}, flags
