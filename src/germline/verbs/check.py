"""Every hash of a run."""

from germline.chain import Chain
from germline.verbs.arguments import Paths, print_json, run_folders


def check(runs: Paths, json: bool = False) -> None:
    """Walk every hash of runs and name the first broken file.

    Examples:
      germline check runs/demo

    Args:
        runs: run folders, or folders that hold some.
        json: print JSON.
    """
    for path in run_folders(runs):
        files = Chain(path).check()
        if json:
            print_json({"run": str(path), "whole": [str(file) for file in files]})
        else:
            print(f"{path}: {len(files)} files are as they were written.")
