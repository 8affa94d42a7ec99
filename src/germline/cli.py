"""The command: finds the verb, turns its arguments into flags, its errors into exit codes."""

import sys
import warnings
from collections.abc import Sequence

import tyro

from germline import registry
from germline.core.errors import BadInput, GermlineError
from germline.pipelines.processes import first_to_speak, processes, several
from germline.registry import first_line
from germline.verbs import VERBS


def usage() -> str:
    """Return the help of the whole command, examples first."""
    examples = (
        "germline run replace",
        "germline show replace",
        "germline report runs/replace --out replace.html",
        "germline run entropy --dry-run",
    )
    verbs = "\n".join(f"  {name:10}{first_line(verb)}" for name, verb in VERBS.items())
    return "usage: germline VERB ...\n\nExamples:\n  " + "\n  ".join(examples) + f"\n\nVerbs (germline VERB --help says more):\n{verbs}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0, 1 for an error with a remedy, 130 when interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    warnings.showwarning = lambda message, *_, **__: note(message)
    try:
        if processes().count > 1 and arguments[0] != "run":
            raise BadInput(f"germline {arguments[0]} is not for several processes; torchrun is for germline run. Start it by itself.")
        verb = registry.find(arguments[0], VERBS, "verb")
        if verb in (VERBS["run"], VERBS["prompts"]):  # what follows decides which flags there are
            verb(arguments[1:])
        else:
            tyro.cli(verb, prog=f"germline {arguments[0]}", args=arguments[1:])
    except GermlineError as error:
        if first_to_speak():
            print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if first_to_speak():
            print("\nStopped. Nothing is lost: run the same command to go on.", file=sys.stderr)
        return 130
    except BaseException:
        first_to_speak()  # what follows speaks for all: the parser's words, or a traceback
        raise
    return 0


def note(message: Warning | str) -> None:
    """Print a warning; of several processes only the first one's."""
    if not (several() and processes().rank):
        print(f"note: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
