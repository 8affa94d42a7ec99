"""What there is."""

from germline import registry
from germline.chain import Chain
from germline.registry import first_line
from germline.report.terminal import print_listing
from germline.verbs.arguments import FOLDER, print_json


def ls(json: bool = False) -> None:
    """List recipes, data sets, studies, metrics, and the runs in ./runs.

    Args:
        json: print JSON.
    """
    listing = {
        "recipes": {name: first_line(registry.function_of(name)) for name in registry.recipe_names()},
        "data": {name: first_line(load) for name, load in registry.NAMED.items()},
        "studies": {name: first_line(study.arms) for name, study in registry.study_names().items()},
        "metrics": {type(metric).__name__: first_line(type(metric)) for metric in registry.standard_metrics()},
        "runs": {str(path): f"{len(Chain(path))} generations" for path in registry.runs_under(FOLDER)},
    }
    print_json(listing) if json else print_listing(listing)
