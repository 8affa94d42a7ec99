"""The page."""

from pathlib import Path

from germline import registry
from germline.core.progress import bars
from germline.judge import judge
from germline.report.page import write_page
from germline.report.spent import spent
from germline.verbs.arguments import Paths, print_json, run_folders


def report(runs: Paths, out: Path = Path("report.html"), json: bool = False) -> None:
    """Write one static HTML page about runs: verdicts, curves, same-seed grids, nearest training images, what T_g is made of.

    Examples:
      germline report runs/demo --out demo.html

    Args:
        runs: run folders, or folders that hold some.
        out: the page.
        json: print JSON.
    """
    opened = [registry.open_run(path) for path in run_folders(runs)]
    with bars("judge", len(opened)) as advance:
        verdicts = {}
        for run in opened:
            if len(run.chain) > 1:
                verdicts[run.chain.path] = judge(run.chain, run.data)
            advance(1)
    costs = {run.chain.path: spent(run.recipe, run.chain, run.data) for run in opened if run.recipe is not None}
    write_page([(run.name, run.chain, run.data) for run in opened], out, verdicts=verdicts, costs=costs, progress=bars)
    print_json({"page": str(out), "runs": [run.name for run in opened]}) if json else print(f"{out}: open it in a browser.")
