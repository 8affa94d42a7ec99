"""The command: finds the verb, turns its arguments into flags, its errors into exit codes.

What takes long to import (torch, the parser) is imported where it is needed, so that help and mistakes are answered at once.
"""

import os
import sys
import warnings
from collections.abc import Sequence

from germline.core.errors import BadInput, GermlineError
from germline.core.names import find
from germline.verbs import VERBS

BROKEN_PIPE = 141  # 128 and the number of SIGPIPE, as a shell has it


def usage() -> str:
    """Return the help of the whole command, examples first."""
    examples = (
        "germline run replace",
        "germline show replace",
        "germline report runs/replace --out replace.html",
        "germline run entropy --dry-run",
        "germline run redifine --model emoji",
        "germline audit --real photos/ --made made/ --out audit.html",
        "germline select --pool photos/ --n 5000 --keep-quantile 0.95 --out chosen/",
    )
    verbs = "\n".join(f"  {name:10}{VERBS.summary(name)}" for name in VERBS)
    return "usage: germline VERB ...\n\nExamples:\n  " + "\n  ".join(examples) + f"\n\nVerbs (germline VERB --help says more):\n{verbs}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0, 1 for an error with a remedy, 130 when interrupted, 141 when nobody reads what is printed."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = lambda message, *_, **__: note(message)
    for library in ("TRANSFORMERS", "DIFFUSERS"):  # read when they are imported; what they warn of is not the user's doing
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    try:
        act(arguments)
        sys.stdout.flush()  # so that a reader that went away is met here, and not at exit
    except GermlineError as error:
        if speaks():
            print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if speaks():
            print("\nStopped. Nothing is lost: run the same command to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read what was printed went away, as head does: no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except BaseException:
        speaks()  # what follows speaks for all: the parser's words, or a traceback
        raise
    return 0


def act(arguments: Sequence[str]) -> None:
    """Do what the arguments say; print the help where there are none.

    Raises:
        BadInput: there is no such verb, or it is not for several processes.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        return print(usage())
    if of_several() and arguments[0] != "run":
        from germline.pipelines.processes import processes

        processes()  # joined, so that one of them tells the user
        raise BadInput(f"germline {arguments[0]} is not for several processes; torchrun is for germline run. Start it by itself.")
    verb = find(arguments[0], VERBS, "verb")
    if arguments[0] in ("run", "prompts", "vote"):  # what follows decides which flags there are
        return verb(arguments[1:])
    import tyro

    from germline.verbs.helptext import flowing, help_of

    tyro.cli(flowing(verb), prog=f"germline {arguments[0]}", description=help_of(verb), args=arguments[1:])


def note(message: Warning | str) -> None:
    """Print a warning; of several processes only the first one's."""
    if of_several():
        from germline.pipelines.processes import processes

        if processes().rank:
            return
    print(f"note: {message}", file=sys.stderr)


def of_several() -> bool:
    """Return whether this process was started as one of several, as torchrun tells; torch itself is asked only then."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return False
    from germline.pipelines.processes import several

    return several()


def speaks() -> bool:
    """Return whether this process is the one of its group that tells the user of an error."""
    if not of_several():
        return True
    from germline.pipelines.processes import first_to_speak

    return first_to_speak()


if __name__ == "__main__":
    sys.exit(main())
