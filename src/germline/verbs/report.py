"""The page, and figures for papers."""

from pathlib import Path

from germline import registry
from germline.core.progress import bars
from germline.judge import judge
from germline.report.page import write_page
from germline.report.paper import write_figures
from germline.report.spent import spent
from germline.verbs.arguments import Paths, print_json, run_folders


def report(runs: Paths, out: Path | None = None, figures: Path | None = None, json: bool = False) -> None:
    """Write one static HTML page about runs: verdicts, curves, same-seed grids, nearest training images, what T_g is made of.

    Examples:
      germline report runs/demo --out demo.html
      germline report runs/demo --figures figures

    Args:
        runs: run folders, or folders that hold some.
        out: the page; report.html where neither --out nor --figures is given.
        figures: folder of figures for a paper, as PDF and SVG with their captions: curves, composition, law, grid.
        json: print JSON.
    """
    page = Path("report.html") if out is None and figures is None else out
    opened = [registry.open_run(path) for path in run_folders(runs)]
    named = [(run.name, run.chain, run.data) for run in opened]
    files = [] if figures is None else write_figures(named, figures, bars)
    if page is not None:
        with bars("judge", len(opened)) as advance:
            verdicts = {}
            for run in opened:
                if len(run.chain) > 1:
                    verdicts[run.chain.path] = judge(run.chain, run.data)
                advance(1)
        costs = {run.chain.path: spent(run.recipe, run.chain, run.data) for run in opened if run.recipe is not None}
        write_page(named, page, verdicts=verdicts, costs=costs, progress=bars)
    if json:
        print_json({"page": page and str(page), "figures": [str(file) for file in files], "runs": [run.name for run in opened]})
        return
    if page is not None:
        print(f"{page}: open it in a browser.")
    if figures is not None:
        print(f"{figures}: {len(files)} files; captions.txt says what each shows.")
