"""What other packages bring: recipes, data sets and metrics, by entry points or as module:function."""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial, wraps
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from germline.core.errors import BadInput
from germline.core.names import first_line
from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.core.splits import Splits

if TYPE_CHECKING:
    from germline.diffusion.model import ClassModel

RECIPES, DATA, METRICS = "germline.recipes", "germline.data", "germline.metrics"
WHAT = {RECIPES: "recipe", DATA: "data set", METRICS: "metric"}


def brought(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, nothing loaded. A name that two packages bring is an error when it is used."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=package_of):
        found.setdefault(entry.name, entry)
    return found


def package_of(entry: EntryPoint) -> str:
    """Return name and version of the package of an entry point: "mine 0.1"."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def told(group: str) -> dict[str, str]:
    """Return the first line of what other packages bring, and which package that is; or why it cannot be loaded."""
    found = {}
    for name, entry in brought(group).items():
        try:
            text = first_line(recipe_function(name) if group == RECIPES else load(group, name))
        except BadInput as error:
            text = str(error)
        found[name] = f"{text} (from {package_of(entry)})"
    return found


def load(group: str, name: str) -> object:
    """Return what an entry point, or ``module:function``, names. Modules are looked for in the folder one is in, too.

    Raises:
        BadInput: two packages bring the name, or the module or what it should hold is not there or cannot be imported.
    """
    what = WHAT[group]
    if ":" in name:
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        module, _, attribute = name.partition(":")
        return _imported(f"{what} {name}", module, attribute, "its module")
    entries = [entry for entry in entry_points(group=group) if entry.name == name]
    if len({entry.value for entry in entries}) > 1:
        who = ", ".join(f"{package_of(entry)} ({entry.value})" for entry in entries)
        raise BadInput(f"Several packages bring a {what} {name!r}: {who}. Name the one you mean as module:function.")
    return _imported(f"{what} {name}", entries[0].module, entries[0].attr, package_of(entries[0]))


def recipe_function(name: str) -> Callable[..., Recipe[ClassModel]]:
    """Return a recipe's function; what it returns is checked.

    Raises:
        BadInput: it is no function, or an argument has no type or no default, so that it cannot be a flag.
    """
    function = load(RECIPES, name)
    if not inspect.isfunction(function):
        raise BadInput(f"The recipe {name} must be a function that returns a Recipe, but is a {type(function).__name__}.")
    hints = get_type_hints(function)
    for key, parameter in inspect.signature(function).parameters.items():
        if key not in hints or parameter.default is inspect.Parameter.empty:
            raise BadInput(f"The recipe {name}: its argument {key!r} must have a type and a default, since it is a flag: {key}: int = 3.")

    @wraps(function)
    def _checked(*args: object, **kwargs: object) -> Recipe[ClassModel]:
        made = function(*args, **kwargs)
        if not isinstance(made, Recipe):
            raise BadInput(f"The recipe {name} must return a Recipe, but returned a {type(made).__name__}.")
        return made

    return _checked


def presets_of(name: str) -> dict[str, partial[Recipe[ClassModel]]]:
    """Return the presets beside a recipe's function: the partials of it in its module; "embedded" is always there."""
    function = inspect.unwrap(recipe_function(name))
    beside = vars(sys.modules[function.__module__])
    own = {key: value for key, value in beside.items() if isinstance(value, partial) and value.func is function}
    return {"embedded": partial(function), **own}


def splits(name: str, flags: Mapping[str, object]) -> Splits:
    """Return the splits of a data set, made with those of ``flags`` (size, whole, sizes, where) that its function takes.

    Raises:
        BadInput: it is no function, does not return splits, or does not take a flag that was set.
    """
    function = load(DATA, name)
    if not callable(function):
        raise BadInput(f"The data set {name} must be a function that returns Splits, but is a {type(function).__name__}.")
    takes = inspect.signature(function).parameters
    if strange := [flag for flag, value in flags.items() if value and flag not in takes]:
        raise BadInput(f"The data set {name} takes no --{strange[0].replace('sizes', 'real')}; it takes {', '.join(takes) or 'nothing'}.")
    made = function(**{flag: value for flag, value in flags.items() if flag in takes})
    if not isinstance(made, Splits):
        raise BadInput(f"The data set {name} must return Splits, but returned a {type(made).__name__}.")
    return made


def metrics() -> list[Metric]:
    """Return the metrics of other packages: each a metric, or something that makes one without arguments. A broken one is left out."""
    out = []
    for name in brought(METRICS):
        try:
            found = load(METRICS, name)
            made = found() if inspect.isclass(found) or inspect.isfunction(found) else found
            if not isinstance(made, Metric):
                raise BadInput(f"The metric {name} must be a Metric, called with evidence, but is a {type(made).__name__}.")
            out.append(made)
        except BadInput as error:
            warnings.warn(f"Goes on without a metric: {error}", stacklevel=2)
    return out


def needed(group: str, name: str) -> dict[str, str]:
    """Return {package: version} of what must be installed to find a name again; of a module without a package, {module: ""}."""
    if ":" not in name:
        entry = brought(group).get(name)
        return {entry.dist.name: entry.dist.version} if entry and entry.dist else {}
    module = name.partition(":")[0]
    owners = packages_distributions().get(module.partition(".")[0], ())
    return {owners[0]: version(owners[0])} if owners else {module: ""}


def missing(packages: Mapping[str, object]) -> list[str]:
    """Return what to install of these packages: "mine==0.1", or "the module mine"."""
    return [f"{name}=={number}" if number else f"the module {name}" for name, number in packages.items() if not _there(name, bool(number))]


def _there(name: str, package: bool) -> bool:
    try:
        return bool(version(name) if package else find_spec(name))
    except (PackageNotFoundError, ModuleNotFoundError):
        return False


def _imported(who: str, module: str, attribute: str, of: str) -> object:
    try:
        found: object = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise BadInput(f"The {who}: {module} has no {attribute!r}; check the name, or {of}.") from None
    except Exception as error:  # another's code, which may raise anything when it is imported
        raise BadInput(f"The {who} cannot be loaded: {type(error).__name__}: {error}. Check {of}.") from error
    return found
