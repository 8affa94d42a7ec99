"""What several verbs take and print."""

import json
from collections.abc import Sequence
from pathlib import Path

import tyro

from germline import registry
from germline.core.errors import BadInput

Name = tyro.conf.Positional[str]
Paths = tyro.conf.Positional[tuple[Path, ...]]
FOLDER = Path("runs")


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the run folders that the user means: a run, a folder of runs, or a name in ./runs.

    Raises:
        BadInput: there is none.
    """
    if not paths:
        raise BadInput(f"Name a run folder. {registry.did_you_mean('', [str(path) for path in registry.runs_under(FOLDER)])}")
    found = []
    for path in paths:
        here = registry.runs_under(path) or registry.runs_under(FOLDER / path)
        if not here:
            known = [*registry.recipe_names(), *(str(run) for run in registry.runs_under(FOLDER))]
            raise BadInput(f"{path} is neither a recipe nor a run folder. {registry.did_you_mean(str(path), known)}")
        found += here
    return found


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    print(json.dumps(value), flush=True)
