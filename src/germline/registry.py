"""Names to recipes, data sets, metrics and studies; and a run folder back to its parts.

Imported by every verb, also by those that need no torch: what brings it is imported where it is used.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from germline import plugins, recipes, studies
from germline.chain import CONFIG, Chain
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.names import did_you_mean, find
from germline.core.progress import bars
from germline.core.protocols import Metric, Scorer
from germline.core.recipe import Recipe
from germline.core.splits import EMBEDDED, Splits
from germline.data import cifar10, digits, emoji, emojione, fashion_mnist, mnist, splits_of, toy_digits
from germline.data.digits import SIZES
from germline.data.places import WHOLE
from germline.data.rated import COLUMN, rated
from germline.data.toy_digits import REAL as REAL_TOY

if TYPE_CHECKING:
    from germline.diffusion.model import ClassModel

NAMED: dict[str, Callable[..., Splits]] = {
    "fashion-mnist": fashion_mnist,
    "mnist": mnist,
    "cifar10": cifar10,
    "digits": digits,
    "emoji": emoji,
    "emojione": emojione,
    "toy-digits": toy_digits,
}


@dataclasses.dataclass(frozen=True)
class DataFlags:
    """Which real images.

    Attributes:
        data: a named set (see: germline ls), a folder, .npz, .npy or Parquet file of yours, or module:function of your own.
        where: file or folder that has the named set, instead of the usual places.
        whole: all of a named set, instead of the embedded sizes.
        real: rows of the split R that the loop trains on; the other splits keep their sizes.
        size: resize to this many pixels a side; needed where your images differ.
        skip_bad: leave unreadable images out, with a count and a list, instead of stopping at the first.
    """

    data: str = "fashion-mnist"
    where: str | None = None
    whole: bool = False
    real: int | None = None
    size: int | None = None
    skip_bad: bool = False

    def load(self) -> Splits:
        """Return the splits.

        Raises:
            BadInput: neither a named set nor a file has this name.
        """
        if self.data == "digits":
            return digits({**SIZES, "real": self.real or SIZES["real"]}, self.size)
        if self.data in ("emoji", "emojione"):
            return NAMED[self.data](self.whole, {"real": self.real} if self.real else None, self.where, self.size)
        if self.data == "toy-digits":
            return toy_digits(self.real or REAL_TOY, self.size)
        if self.data in NAMED:
            sizes = {**(WHOLE if self.whole else EMBEDDED), "real": self.real} if self.real else None
            return NAMED[self.data](whole=self.whole, sizes=sizes, where=self.where, size=self.size)
        path = Path(self.data)
        if not path.exists() and (":" in self.data or self.data in data_names()):
            sizes = {**EMBEDDED, "real": self.real} if self.real else None
            return plugins.splits(self.data, {"size": self.size, "whole": self.whole, "sizes": sizes, "where": self.where})
        if not path.exists():
            raise BadInput(f"No data set is named {self.data!r}, and no such file exists. {did_you_mean(self.data, data_names())}")
        return splits_of(path, size=self.size, skip_bad=self.skip_bad, real=self.real, progress=bars)


def recipe_names() -> dict[str, str]:
    """Return every recipe's name on the command line, and the package that brings it: "" for our own, which no other may take."""
    return {
        **{name: plugins.package_of(entry) for name, entry in plugins.brought(plugins.RECIPES).items()},
        **dict.fromkeys(recipes.ALL, ""),
    }


def recipe_summaries() -> dict[str, str]:
    """Return every recipe's first line, ours without their import."""
    return plugins.told(plugins.RECIPES) | {name: recipes.ALL.summary(name) for name in recipes.ALL}


def data_names() -> dict[str, str]:
    """Return every named data set, and the package that brings it."""
    return {**{name: plugins.package_of(entry) for name, entry in plugins.brought(plugins.DATA).items()}, **dict.fromkeys(NAMED, "")}


def is_recipe(name: str) -> bool:
    """Whether a name is that of a recipe, ours or another's, or module:function."""
    return ":" in name or name in recipe_names()


def presets(name: str) -> dict[str, partial[Recipe[ClassModel]]]:
    """Return the presets of a recipe: the partials in its file."""
    function = function_of(name)
    if name in recipes.ALL:
        beside = vars(sys.modules[function.__module__])
        return {key.replace("_", "-"): value for key, value in beside.items() if isinstance(value, partial)}
    return plugins.presets_of(name)


def function_of(name: str) -> Callable[..., Recipe[ClassModel]]:
    """Return a recipe's function.

    Raises:
        BadInput: there is none, or it cannot be loaded.
    """
    if name in recipes.ALL:
        return recipes.ALL[name]
    if ":" not in name:
        find(name, recipe_names(), "recipe")
    return plugins.recipe_function(name)


def packages(recipe: str, data: str) -> dict[str, Json]:
    """Return, for config.json, the packages that a run's recipe and data come from; nothing where they are ours."""
    found = {} if recipe in recipes.ALL else plugins.needed(plugins.RECIPES, recipe)
    if data not in NAMED and (":" in data or data in data_names()) and not Path(data).exists():
        found |= plugins.needed(plugins.DATA, data)
    return {"packages": dict(found)} if found else {}


def recipe(name: str, kwargs: Mapping[str, Json]) -> Recipe[ClassModel]:
    """Return the recipe of this name with these keyword arguments, as they lie in config.json."""
    return function_of(name)(**revived(name, kwargs))


def revived(name: str, kwargs: Mapping[str, Json]) -> dict[str, object]:
    """Return the keyword arguments of a recipe, as they lie in config.json, as the recipe takes them."""
    hints = get_type_hints(function_of(name))
    return {key: revive(hints[key], value) for key, value in kwargs.items()}


def revive(hint: object, value: Json) -> object:
    """Return the keyword argument that was written as JSON: dataclasses and tuples again."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return hint(**{key: revive(None, item) for key, item in value.items()})
    return tuple(value) if isinstance(value, list) else value


def standard_metrics() -> list[Metric]:
    """Return what ``run`` and ``measure`` measure of data with classes: fidelity, diversity, novelty, agreement, composition, pixels."""
    from germline import standard

    return [*standard.of_classes(), *plugins.metrics()]


def metrics_for(data: Splits, made: Recipe[ClassModel] | None = None, held_out: Sequence[Scorer] = ()) -> list[Metric]:
    """Return what ``run`` and ``measure`` measure of this data, and of what the recipe's pipeline brings, if it has one.

    ``held_out`` are scorers that choose nothing.

    Raises:
        BadInput: the recipe chooses no images of prompts by scorers, so that nothing is held out of it.
    """
    from germline import standard

    own = metrics_of(made, data, held_out) if made else []
    if held_out and not (made and standard.of_rewards(made, data)):
        raise BadInput("--held-out is for runs that choose images of new prompts by scorers, such as those of rsidiff; this is none.")
    if standard.has_classes(data):
        return [*standard_metrics(), *own]
    return [*standard.of_prompts(data), *own, *plugins.metrics()]


def metrics_of(made: Recipe[ClassModel], data: Splits, held_out: Sequence[Scorer] = ()) -> list[Metric]:
    """Return what is measured of a recipe's runs beside what is of all on these data: its pipeline's checker, signs of reward hacking."""
    from germline import standard

    base = getattr(made.founder, "base", None)
    checked = [] if standard.has_classes(data) else standard.of_pipeline(base if isinstance(base, Path | str) else None)
    return [*checked, *standard.of_rewards(made, data, held_out)]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder with everything that its verbs need; an adopted one has no recipe."""

    name: str
    chain: Chain
    recipe: Recipe[ClassModel] | None
    data: Splits


def open_run(path: Path) -> Run:
    """Return the run in a folder, its recipe and data rebuilt from config.json.

    Raises:
        BadInput: the run was made in Python with parts that have no name, or with a package that is not installed.
    """
    from germline.adopt import ADOPTED, adopted_data

    names = Chain(path).config["names"]
    assert isinstance(names, dict)
    if ADOPTED in names:
        return Run(path.name, Chain(path), None, adopted_data(Chain(path)))
    if "recipe" not in names and "study" not in names:
        raise BadInput(f"{path} was made in Python, so the command line cannot rebuild its parts; use Loop.at and measure there.")
    if lacking := plugins.missing(_mapping(names.get("packages", {}))):
        raise BadInput(f"{path} was made with {' and '.join(lacking)}, which is not installed here: install it to open the run.")
    made = arm(names) if "study" in names else recipe(str(names["recipe"]), _mapping(names["kwargs"]))
    flags = DataFlags(**_mapping(names["data"]))  # type: ignore[arg-type]
    data = flags.load() if "study" in names else with_given(revived(str(names["recipe"]), _mapping(names["kwargs"])), flags)
    return Run(path.name, Chain(path, made.founder.restore, made.trainer.restore), made, data)


def with_given(kwargs: Mapping[str, object], flags: DataFlags) -> Splits:
    """Return the splits, with the images beside them that a recipe's first round is given.

    Raises:
        BadInput: as ``DataFlags.load`` and ``rated``, or no image is rated highly enough.
    """
    from germline.recipes.preference_setup import FirstRound

    data = flags.load()
    first = next((value for value in kwargs.values() if isinstance(value, FirstRound)), FirstRound())
    if first.pool is None:
        return data
    path, votes = Path(first.pool).expanduser(), None if first.ratings is None else Path(first.ratings).expanduser()
    side, _, channels = data.image_shape
    given = rated(path, votes, side, channels, flags.skip_bad, progress=bars)
    if votes is not None and not (given.columns[COLUMN] >= first.rated_from).any():
        best = float(given.columns[COLUMN].max())
        raise BadInput(f"--ratings: no image of {path} is rated {first.rated_from:g} or more, the best {best:g}; lower --rated-from.")
    return dataclasses.replace(data, given=given)


def arm(names: Mapping[str, Json]) -> Recipe[ClassModel]:
    """Return the recipe of a study's arm."""
    arms = dict(find(str(names["study"]), study_names(), "study")())
    return find(str(names["arm"]), arms, "arm")


def study_names() -> dict[str, studies.Study]:
    """Return every study by name."""
    return {study.name: study for study in studies.ALL}


def runs_under(path: Path) -> list[Path]:
    """Return the run folders in a folder, or the folder itself if it is one."""
    if (path / CONFIG).exists():
        return [path]
    return sorted(config.parent for config in path.glob(f"**/{CONFIG}"))


def plain(value: object) -> Json:
    """Return a keyword argument as JSON, the inverse of ``revive``."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    assert value is None or isinstance(value, bool | int | float | str)
    return value


def defaults(name: str, preset: str) -> dict[str, object]:
    """Return every keyword argument of a recipe under a preset."""
    chosen = find(preset, presets(name), f"preset of {name}")
    signature = inspect.signature(function_of(name))
    return {**{key: parameter.default for key, parameter in signature.parameters.items()}, **chosen.keywords}


def generations(name: str, preset: str) -> int:
    """Return the generations of a preset: what ``GENERATIONS`` in the recipe's file says, else 5."""
    stated: dict[str, int] = getattr(sys.modules[function_of(name).__module__], "GENERATIONS", {})
    return stated.get(preset, 5)


def _mapping(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value
