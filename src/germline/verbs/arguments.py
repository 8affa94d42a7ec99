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


def numbers(given: Sequence[str], flag: str) -> tuple[int, ...]:
    """Return whole numbers that were written apart or with commas between them: 0 1, or 0,1.

    Raises:
        BadInput: something else was written.
    """
    parts = [part for text in given for part in text.split(",") if part]
    if odd := [part for part in parts if not part.isdecimal()]:
        raise BadInput(f"{flag} takes whole numbers, 0 1 or 0,1, but got {odd[0]!r}.")
    return tuple(map(int, parts))


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    print(json.dumps(value), flush=True)
