"""The arms that a study's flags ask for, and what is printed of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from germline import registry, sweep
from germline.chain import CONFIG
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.names import find
from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.flags import counted, preset_of, sided
from germline.plan import Plan
from germline.registry import DataFlags, plain
from germline.report.compare import Comparison, arm_name, compare
from germline.report.tidy import read
from germline.study import Arm, place
from germline.verbs.arguments import print_json

Made = dict[str, tuple[Recipe[ClassModel], dict[str, Json]]]


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
            find(name, {**studies, **registry.recipe_names()}, "study or recipe")
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
