"""What there is."""

from collections.abc import Callable
from functools import partial

from germline import registry
from germline.chain import Chain
from germline.core.errors import BadInput
from germline.plugins import DATA, load
from germline.registry import first_line
from germline.report.terminal import print_listing
from germline.verbs.arguments import FOLDER, print_json


def ls(json: bool = False) -> None:
    """List recipes, data sets, studies, metrics, and the runs in ./runs.

    Examples:
      germline ls
      germline ls --json

    Args:
        json: print JSON.
    """
    listing = {
        "recipes": {name: _about(of, partial(registry.function_of, name)) for name, of in registry.recipe_names().items()},
        "data": {name: _about(of, partial(_data, name)) for name, of in registry.data_names().items()},
        "studies": {name: first_line(study.arms) for name, study in registry.study_names().items()},
        "metrics": {type(metric).__name__: first_line(type(metric)) for metric in registry.standard_metrics()},
        "runs": {str(path): f"{len(Chain(path))} generations" for path in registry.runs_under(FOLDER)},
    }
    print_json(listing) if json else print_listing(listing)


def _data(name: str) -> object:
    return registry.NAMED.get(name) or load(DATA, name)


def _about(package: str, find: Callable[[], object]) -> str:
    """Return the first line of what is found, and which package brings it; or why it cannot be loaded."""
    try:
        text = first_line(find())
    except BadInput as error:
        text = str(error)
    return f"{text} (from {package})" if package else text
