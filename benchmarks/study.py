"""The demo's four arms two at a time, against one after the other: wall seconds and their ratio.

Equal work: the same arms, seeds, data and metrics, each way in its own folder, generation 0 shared by the arms of a seed. Every process
computes with one thread. One seed's generation 0 is made by one process, and nothing else can begin before it is there: with two
seeds there is other work meanwhile. Small budgets are worse, since what is done once weighs more. Leave the machine to it.

    python benchmarks/study.py [--seeds 1] [--arms replace real-only] [--generations 5 --images 9600 --founder-images 51200 --n 2000]
        [--processes 2] [--data fashion-mnist]
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from germline import registry, studies
from germline.chain import Chain
from germline.core import machine
from germline.core.crew import Crew, Say
from germline.registry import DataFlags
from germline.study import PRELOAD, Arm, run_arms


def arms(folder: Path, given: argparse.Namespace) -> list[Arm]:
    """The demo with these budgets; its recipes' fields are the only thing that changes."""
    out = []
    for name, recipe in studies.demo():
        if given.arms and name not in given.arms:
            continue
        selector = replace(recipe.selector, n=given.n) if recipe.selector else None
        founder, trainer = replace(recipe.founder, images=given.founder_images), replace(recipe.trainer, images=given.images)
        made = replace(recipe, founder=founder, trainer=trainer, sampler=replace(recipe.sampler, n=given.n), selector=selector)
        out += [Arm(folder / f"{name}-seed{seed}", made, seed, {}) for seed in range(given.seeds)]
    return sorted(out, key=lambda arm: arm.seed)


def timed(folder: Path, given: argparse.Namespace, processes: int) -> tuple[float, list[str]]:
    """Seconds of the whole study, and the last record of every arm."""
    todo, data = arms(folder, given), DataFlags(given.data, real=given.real)
    start = time.perf_counter()
    failed = run_arms(todo, data.load, registry.standard_metrics(), given.generations, processes)
    seconds = time.perf_counter() - start
    if failed:
        sys.exit(f"failed: {failed}")
    return seconds, [Chain(arm.path)[given.generations].digest for arm in todo]


def nothing(say: Say) -> None:
    """What the first process does, so that neither way pays for loading the libraries."""


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--seeds", type=int, default=1)
    flags.add_argument("--arms", nargs="*", help="the demo's arms; all four when not given")
    flags.add_argument("--generations", type=int, default=5)
    flags.add_argument("--images", type=int, default=9_600)
    flags.add_argument("--founder-images", type=int, default=51_200)
    flags.add_argument("--n", type=int, default=2_000)
    flags.add_argument("--real", type=int, help="rows of the split R; the data set's own when not given")
    flags.add_argument("--data", default="fashion-mnist")
    flags.add_argument("--processes", type=int, default=2)
    given = flags.parse_args()
    print(f"{machine.cores()} cores, load {os.getloadavg()[0]:.1f} before; {given.data}, {given.seeds} seeds,", end=" ")
    print(f"generations 0 to {given.generations}, n = {given.n}", flush=True)
    with Crew(PRELOAD) as crew:
        crew.start("nothing", nothing)
        while len(crew):
            list(crew.listen())
    with tempfile.TemporaryDirectory() as folder:
        first, records = timed(Path(folder) / "together", given, given.processes)
        print(f"{given.processes} at once: {first:.1f} s wall", flush=True)
        second, same = timed(Path(folder) / "alone", given, 1)
        print(f"one after the other: {second:.1f} s wall; last records {'equal' if same == records else 'DIFFER'}")
        print(f"ratio {second / first:.2f} (target 1.7 on two free cores at the demo's budget); load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
