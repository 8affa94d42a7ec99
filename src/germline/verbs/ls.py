"""What there is."""

from germline import plugins, registry
from germline.chain import Chain
from germline.core.names import first_line
from germline.core.shelf import offered, summary
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
        "recipes": registry.recipe_summaries(),
        "data": plugins.told(plugins.DATA) | {name: first_line(found) for name, found in registry.NAMED.items()},
        "studies": {name: study.summary for name, study in registry.study_names().items()},
        "metrics": plugins.told(plugins.METRICS) | {name: summary(file, name) for name, file in offered("germline.metrics").items()},
        "runs": {str(path): f"{len(Chain(path))} generations" for path in registry.runs_under(FOLDER)},
    }
    print_json(listing) if json else print_listing(listing)
