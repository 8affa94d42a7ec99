"""What several verbs take and print."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import tyro

from germline import registry
from germline.core.errors import BadInput
from germline.core.names import did_you_mean

Name = tyro.conf.Positional[str]
Paths = tyro.conf.Positional[tuple[Path, ...]]
FOLDER = Path("runs")
NONE_YET = "There are no runs in ./runs yet; germline run replace makes one."


def run_folders(paths: Sequence[Path], known: Sequence[str] = ()) -> list[Path]:
    """Return the run folders that the user means: a run, a folder of runs, or a name in ./runs; ``known`` names are offered beside these.

    Raises:
        BadInput: there is none.
    """
    runs = [str(run) for run in registry.runs_under(FOLDER)]
    if not paths:
        raise BadInput(f"Name a run folder. {did_you_mean('', runs) if runs else NONE_YET}")
    found = []
    for path in paths:
        here = registry.runs_under(path) or registry.runs_under(FOLDER / path)
        if not here:
            what = "holds no run" if path.is_dir() else "is no run folder"
            names = [*known, *runs]
            raise BadInput(f"{path} {what}. {did_you_mean(str(path), names) if names else NONE_YET}")
        found += here
    return found


def one_run(path: Path) -> Path:
    """Return the one run that the user means.

    Raises:
        BadInput: there is none, or the folder holds several.
    """
    found = run_folders([path])
    if len(found) > 1:
        raise BadInput(f"{path} holds {len(found)} runs; name one of them: {', '.join(map(str, found))}.")
    return found[0]


def numbers(given: Sequence[str], flag: str, words: Mapping[str, int] = MappingProxyType({})) -> tuple[int, ...]:
    """Return whole numbers that were written apart or with commas between them: 0 1, or 0,1; ``words`` stand for some.

    Raises:
        BadInput: something else was written.
    """
    parts = [part for text in given for part in text.split(",") if part]
    if odd := [part for part in parts if not part.isdecimal() and part not in words]:
        also = "".join(f", or {word}" for word in words)
        raise BadInput(f"{flag} takes whole numbers, 0 1 or 0,1{also}, but got {odd[0]!r}.")
    return tuple(words[part] if part in words else int(part) for part in parts)


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    print(json.dumps(value), flush=True)
