"""Metrics over finished generations."""

from germline import registry
from germline.core.progress import bars
from germline.measure import measure as measure_generation
from germline.report.terminal import print_measurements
from germline.verbs.arguments import Paths, print_json, run_folders


def measure(runs: Paths, again: bool = False, json: bool = False) -> None:
    """Measure the finished generations of runs; what was measured before is read back.

    Args:
        runs: run folders, or folders that hold some.
        again: measure everything anew.
        json: print JSON.
    """
    for path in run_folders(runs):
        opened = registry.open_run(path)
        rows = [
            (generation.number, measure_generation(generation, opened.data, registry.standard_metrics(), progress=bars, again=again))
            for generation in opened.chain.generations()
        ]
        if json:
            print_json({"run": str(path), "generations": [[value.to_json() for value in values] for _, values in rows]})
        else:
            print_measurements(str(path), rows)
