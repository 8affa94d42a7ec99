"""Verbs that have verbs of their own: which one is meant, and the help of all."""

import sys
from collections.abc import Callable, Mapping, Sequence

import tyro

from germline.core.names import find, first_line
from germline.verbs.helptext import flowing, help_of

Stages = Mapping[str, Callable[..., None]]


def act(verb: str, stages: Stages, arguments: Sequence[str], usage: str) -> None:
    """Do the stage that the first argument names; print the help of all where there is none.

    Raises:
        BadInput: there is no such stage.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage)
        sys.exit(0)
    stage = find(arguments[0], stages, f"stage of {verb}")
    tyro.cli(flowing(stage), prog=f"germline {verb} {arguments[0]}", description=help_of(stage), args=arguments[1:])


def usage_of(verb: str, stages: Stages, examples: Sequence[str], about: str) -> str:
    """Return the help of all stages of a verb, examples first."""
    told = "\n".join(f"  {name:11}{first_line(stage)}" for name, stage in stages.items())
    return (
        f"usage: germline {verb} STAGE ...\n\nExamples:\n  "
        + "\n  ".join(examples)
        + f"\n\nStages (germline {verb} STAGE --help says more):\n{told}\n\n{about}"
    )
