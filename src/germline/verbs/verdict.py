"""The judge's word on runs."""

from germline import registry
from germline.core.progress import bars
from germline.judge import judge
from germline.report.terminal import print_verdict
from germline.verbs.arguments import Paths, print_json, run_folders


def verdict(runs: Paths, generations: int | None = None, json: bool = False) -> None:
    """Say whether runs are improving, stable, unclear, collapsing or diverging, since when, and which generation is best.

    Images and conditions are all that is looked at. Four things are judged apart: fidelity, diversity, novelty, agreement.
    A word needs two measures that agree. "Unclear" says that something certainly got worse and no second measure agrees.

    Examples:
      germline verdict runs/replace
      germline verdict runs/demo --json

    Args:
        runs: run folders, or folders that hold some.
        generations: how many generations to look at; all when not given.
        json: print JSON.
    """
    for path in run_folders(runs):
        opened = registry.open_run(path)
        said = judge(opened.chain, opened.data, generations=generations, progress=bars)
        print_json({"run": str(path), **said.to_json()}) if json else print_verdict(str(path), said)
