"""A new run from the first generations of another."""

from pathlib import Path
from shlex import quote

from germline.chain import fork as fork_chain
from germline.verbs.arguments import Name, one_run


def fork(run: Name, generation: int, out: Path) -> None:
    """Start a new run from the first generations of another; the next ``run --out`` there goes on with its own recipe.

    Examples:
      germline fork runs/replace --generation 2 --out runs/b
      germline run entropy --out runs/b

    Args:
        run: the run to start from.
        generation: the last generation to take over.
        out: the new run folder.
    """
    fork_chain(one_run(Path(run)), out, generation)
    print(f"{out} holds generations 0 to {generation}. Go on: germline run RECIPE --out {quote(str(out))}")
