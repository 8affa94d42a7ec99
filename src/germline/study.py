"""Several arms at once: one process an arm, one thread a process, generation 0 shared."""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from germline.chain import Chain, share_founder
from germline.core import digest
from germline.core.context import Context
from germline.core.digest import Json
from germline.core.errors import GermlineError
from germline.core.evidence import Evidence
from germline.core.progress import Board, silent
from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.loop import Loop, limited_threads
from germline.measure import measure

M = TypeVar("M")


@dataclass(frozen=True)
class Arm(Generic[M]):
    """One run of a study: where it lies, what it does, and what rebuilds it by name."""

    path: Path
    recipe: Recipe[M]
    seed: int
    names: Mapping[str, Json]


def run_arms(
    arms: Sequence[Arm[M]], load: Callable[[], Splits], metrics: Sequence[Metric], generations: int, processes: int | None = None
) -> dict[str, str]:
    """Run the arms, as many at once as there are cores, and return {arm: error} of those that failed; the others are finished.

    Arms of equal founder and seed share generation 0's model, made once by the first of them. Running again goes on.
    """
    workers = processes or min(len(arms), os.cpu_count() or 1)
    failed: dict[str, str] = {}
    with Board() as board, ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), board.join) as pool:
        groups: dict[str, list[Arm[M]]] = {}
        for arm in arms:
            groups.setdefault(digest.of_json([digest.describe(arm.recipe.founder), arm.seed]), []).append(arm)
        ahead = pool.submit(measure_real, arms[0].path.parent, load, metrics) if len(groups) < workers else None
        first = {pool.submit(work, group[0], load, metrics, 0): group for group in groups.values()}
        if ahead is not None:
            ahead.cancel()
        later: dict[Future[None], Arm[M]] = {}
        for future in as_completed(first):
            founder, *others = first[future]
            if error := future.exception():
                failed.update({arm.path.name: f"generation 0: {message(error)}" for arm in first[future]})
                continue
            for arm in others:
                same = digest.of_part(arm.recipe.sampler) == digest.of_part(founder.recipe.sampler)
                share_founder(founder.path, arm.path, samples=same)
            later |= {pool.submit(work, arm, load, metrics, generations): arm for arm in first[future]}
        for future in as_completed(later):
            if error := future.exception():
                failed[later[future].path.name] = message(error)
    return failed


def work(arm: Arm[M], load: Callable[[], Splits], metrics: Sequence[Metric], generations: int) -> None:
    """Run and measure one arm in this process."""
    data = load()
    progress = Board.reporter(arm.path.name) if multiprocessing.parent_process() else silent
    loop = Loop.at(arm.path, arm.recipe, data, seed=arm.seed, names=arm.names, progress=progress)
    for generation in loop.run(generations):
        measure(generation, data, metrics, progress=progress)


def measure_real(folder: Path, load: Callable[[], Splits], metrics: Sequence[Metric]) -> None:
    """Measure real data as if it were a generation's samples: what metrics fit once, and features of real rows, are then in the cache.

    It keeps a core busy that would wait for generation 0.
    """
    data = load()
    ctx = Context(0, 0, data, cache=Chain(folder / "real").cache, progress=Board.reporter("real data"))
    with limited_threads(1):
        for metric in metrics:
            metric(Evidence(data.real, data.real, data, ctx))


def message(error: BaseException) -> str:
    """Return what to tell the user of an arm's failure."""
    return str(error) if isinstance(error, GermlineError) else f"{type(error).__name__}: {error}"
