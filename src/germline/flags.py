"""The flags of ``germline run``: a recipe's keyword arguments, and what every run has."""

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

import tyro

from germline import registry
from germline.core.splits import Splits
from germline.pipelines.opened import SHIPPED
from germline.recipes.chain_setup import ChainSetup
from germline.registry import DataFlags

TEXT_TO_IMAGE = "text-to-image"  # the preset of recipes that take a pipeline


@dataclass(frozen=True)
class RunFlags:
    """Where and how long.

    Attributes:
        out: the run folder; runs/RECIPE when not given. Running again goes on where it stopped.
        generations: generations after generation 0. Raising it later goes on.
        seed: of every random draw.
        preset: the scale: "embedded" takes minutes, "paper" is what the paper states.
        stop_on: stop after the generation whose verdict is this, and name the best one; running again without it goes on.
            Unclear is no alarm: something is certainly worse, and no second measure agrees. Hacked: where prompts' best images are chosen
            by scorers, one that chose nothing fell twice in a row, beyond its noise.
        held_out: scorers that choose nothing (see docs/scorers.md), measured beside those that a recipe chooses by.
        rollback: start from the best generation of this run, with this recipe from there on.
        dry_run: print parts, rows, images, bytes and a time estimate, and stop.
        accept_drift: go on although library versions changed since the run began.
        json: print JSON.
    """

    out: Path | None = None
    generations: int = 5
    seed: int = 0
    preset: str = "embedded"
    stop_on: tuple[Literal["collapsing", "diverging", "unclear", "hacked"], ...] = ()
    held_out: tuple[str, ...] = ()
    rollback: Path | None = None
    dry_run: bool = False
    accept_drift: bool = False
    json: bool = False


@dataclass(frozen=True)
class Parsed:
    """A command line, taken apart: the recipe, its keyword arguments, where and how long, on which images."""

    recipe: str
    kwargs: dict[str, object]
    run: RunFlags
    real_images: DataFlags


def parse(name: str, arguments: Sequence[str]) -> Parsed:
    """Return the flags that follow a recipe's name; ``--help`` and mistakes print and exit.

    Raises:
        BadInput: there is no such recipe or preset.
    """
    registry.function_of(name)  # says so if there is none
    flags = flags_of(name, preset_of(name, arguments))
    given: Any = tyro.cli(
        flags, prog=f"germline run {name}", description=help_of(name), args=arguments, config=(tyro.conf.OmitArgPrefixes,)
    )
    kwargs = {f.name: getattr(given, f.name) for f in dataclasses.fields(given) if f.name not in ("run", "real_images")}
    return Parsed(name, kwargs, given.run, given.real_images)


def flags_of(name: str, preset: str) -> type:
    """Return a dataclass of a recipe's flags and those of every run, with the preset's values as defaults."""
    function = registry.function_of(name)
    hints, chosen = get_type_hints(function), registry.defaults(name, preset)
    own = [(key, hints[key], field(default=value)) for key, value in chosen.items()]
    data = made_for(chosen, preset)
    shared = [
        ("run", RunFlags, field(default=RunFlags(generations=registry.generations(name, preset), preset=preset))),
        ("real_images", DataFlags, field(default=data)),
    ]
    flags = make_dataclass(name.replace("-", "_"), [*own, *shared], frozen=True)
    flags.__doc__ = (inspect.getdoc(function) or "").replace("Args:", "Attributes:")
    return flags


def made_for(kwargs: Mapping[str, object], preset: str) -> DataFlags:
    """Return the data that a preset is made for: the set whose name it, or the pipeline that is shipped and that it takes, has."""
    model = getattr(kwargs.get("setup"), "model", None)
    name = model if isinstance(model, str) and model in SHIPPED else preset
    return DataFlags(data=name) if name in registry.NAMED else DataFlags()


def help_of(name: str) -> str:
    """Return what stands above the flags in a recipe's help, examples first."""
    examples = [
        "",
        " --out runs/mine --seed 1",
        " --data photos/ --size 32",
        *([" --model emoji", " --model PATH_OR_ID --data photos/"] if TEXT_TO_IMAGE in registry.presets(name) else []),
        *(f" --preset {p} --dry-run" for p in registry.presets(name) if p not in ("embedded", TEXT_TO_IMAGE, *SHIPPED)),
    ]
    about = (inspect.getdoc(registry.function_of(name)) or "").split("Args:")[0]
    return "Examples:\n" + "\n".join(f"  germline run {name}{flags}" for flags in examples) + f"\n\n{about}"


def preset_of(name: str, arguments: Sequence[str]) -> str:
    """Return the preset named among the arguments, which decides the defaults of all other flags.

    --model alone means text-to-image; with the name of a pipeline that is shipped, the preset of that name.
    """
    for i, argument in enumerate(arguments):
        if argument == "--preset" and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith("--preset="):
            return argument.split("=", 1)[1]
    text = " ".join(arguments)
    model = re.search(r"(?:^| )--model(?:[ =](\S*))?(?= |$)", text)
    if not model or TEXT_TO_IMAGE not in registry.presets(name):
        return "embedded"
    return model[1] if model[1] in SHIPPED and model[1] in registry.presets(name) else TEXT_TO_IMAGE


def sided(kwargs: Mapping[str, object], flags: DataFlags) -> tuple[dict[str, object], DataFlags]:
    """Return the keyword arguments and the data's flags, a pipeline's side settled in both: --size where given, else the side it has."""
    setup = kwargs.get("setup")
    if not isinstance(setup, ChainSetup) or setup.network != "pipeline":
        return dict(kwargs), flags
    own = setup.own_side()
    side = flags.size or setup.pixels or own
    if setup.pixels is None and side != own:
        setup = dataclasses.replace(setup, pixels=side)
    return {**kwargs, "setup": setup}, dataclasses.replace(flags, size=side)


def counted(kwargs: Mapping[str, object], data: Splits) -> dict[str, object]:
    """Return the keyword arguments, ``n`` being the number of rows in R where it was left to the data."""
    return {**kwargs, "n": len(data.real)} if "n" in kwargs and kwargs["n"] is None else dict(kwargs)
