"""Several arms at once: one process an arm, one thread a process, generation 0 shared by the arms of a seed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from germline.chain import CONFIG, Chain, share_founder
from germline.core import digest, machine
from germline.core.board import Board, Whole
from germline.core.context import Context
from germline.core.crew import Crew, Ended, Say
from germline.core.digest import Json
from germline.core.evidence import Evidence
from germline.core.progress import Advance, Progress
from germline.core.protocols import Metric, Trainer
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.loop import Loop, limited_threads
from germline.measure import measure

M = TypeVar("M")
REAL = "real data"
PRELOAD = (
    "germline.study",
    "germline.registry",
    "germline.standard",
    "torch._dynamo",
)  # the last is what the first optimiser of a process imports
FIXED = 700_000_000  # bytes of a worker beside its data: 546 MB were seen on the 8x8 digits, the rest is margin
PER_BYTE = 10  # bytes of memory a byte of images


@dataclass(frozen=True)
class Arm(Generic[M]):
    """One run of a study: where it lies, what it does, what rebuilds it by name, and what is measured of it beside what is of all."""

    path: Path
    recipe: Recipe[M]
    seed: int
    names: Mapping[str, Json]
    metrics: tuple[Metric, ...] = ()


def run_arms(
    arms: Sequence[Arm[M]],
    load: Callable[[], Splits],
    metrics: Sequence[Metric],
    generations: int,
    processes: int | None = None,
    accept_drift: bool = False,
) -> dict[str, str]:
    """Run the arms, as many at once as cores and memory allow, and return {arm: error} of those that failed; the others are finished.

    Arms of equal founder and seed share generation 0's model, made by the first of them; if that one fails, by the next. An arm starts
    as soon as its generation 0 is there. Running again goes on.
    """
    slots = min(processes or at_once(memory_of(load())), len(arms))
    todo = _Todo(arms, generations)
    with Crew(PRELOAD) as crew, Board(Whole(todo.steps, todo.weight, time.monotonic())) as board:
        if len(todo.groups) < slots:
            crew.start(REAL, partial(measure_real, arms[0].path.parent, load, metrics))
        while True:
            while len(crew) < slots and (arm := todo.next()):
                crew.start(str(arm.path), partial(work, arm, load, metrics, generations, accept_drift))
            if not len(crew):
                return todo.failed
            for path, said in crew.listen():
                who = Path(path).name
                if isinstance(said, Ended):
                    board.gone(who)
                    if said.error and path != REAL:
                        board.say(f"{who} failed: {said.error}")
                        board.leave(*todo.fail(path, said.error))
                elif "founded" in said:
                    todo.founded(path)
                elif "done" in said:
                    board.step(todo.done(path, int(str(said["done"]))), found=bool(said["found"]))
                elif "note" in said:
                    board.say(f"note: {who}: {said['note']}")
                else:
                    board.task(who, str(said["task"]), int(str(said["more"])), int(str(said["total"])))


@dataclass(eq=False)
class _Group(Generic[M]):
    """Arms of equal founder and seed: the ``leader`` makes generation 0 and goes on, the others wait for it until it is ``there``."""

    waiting: deque[Arm[M]]
    leader: Arm[M] | None = None
    there: bool = False


class _Todo(Generic[M]):
    """What is to be done, in order, and what came of it."""

    def __init__(self, arms: Sequence[Arm[M]], generations: int) -> None:
        together: dict[str, list[Arm[M]]] = {}
        for arm in arms:
            together.setdefault(digest.of_json([digest.describe(arm.recipe.founder), arm.seed]), []).append(arm)
        # An arm whose generation 0 is there already leads: the others need not wait for it to be made.
        self.groups = [_Group(deque(sorted(same, key=lambda arm: len(Chain(arm.path)) == 0))) for same in together.values()]
        self.failed: dict[str, str] = {}
        self._arms = {str(arm.path): arm for arm in arms}
        self._group = {str(arm.path): group for group in self.groups for arm in group.waiting}
        self._weights = {path: weigh(arm.recipe, generations) for path, arm in self._arms.items()}
        self._reached = dict.fromkeys(self._arms, 0)
        self.steps = len(arms) * (generations + 1)
        self.weight = sum(map(sum, self._weights.values()))

    def next(self) -> Arm[M] | None:
        """Return the arm to start now: one that makes a generation 0 first, since others wait for it."""
        for group in self.groups:
            if group.leader is None and group.waiting:
                group.leader = group.waiting.popleft()
                return group.leader
        return next((group.waiting.popleft() for group in self.groups if group.there and group.waiting), None)

    def founded(self, path: str) -> None:
        """Give an arm's generation 0 to those that wait for it."""
        group = self._group[path]
        if not group.there:
            for arm in group.waiting:
                _share(self._arms[path], arm)
            group.there = True

    def done(self, path: str, number: int) -> float:
        """Take a finished generation to account, and return its weight."""
        self._reached[path] = number + 1
        return self._weights[path][number]

    def fail(self, path: str, error: str) -> tuple[int, float]:
        """Take a failed arm to account, and return the number and weight of the generations that it leaves undone.

        The next of its group makes generation 0, where it was not there yet.
        """
        group, left = self._group[path], self._weights[path][self._reached[path] :]
        self.failed[self._arms[path].path.name] = error
        if group.leader is self._arms[path] and not group.there:
            group.leader = None
        return len(left), sum(left)


def _share(leader: Arm[M], arm: Arm[M]) -> None:
    same = digest.of_part(arm.recipe.sampler) == digest.of_part(leader.recipe.sampler)
    with suppress(OSError):  # then the arm makes its own, of equal bytes, or says itself what is wrong with its folder
        share_founder(leader.path, arm.path, samples=same)


def work(arm: Arm[M], load: Callable[[], Splits], metrics: Sequence[Metric], generations: int, accept_drift: bool, say: Say) -> None:
    """Run and measure one arm in this process, and say of each generation when it is done and whether it was there before.

    Of generation 0 it says so before it measures: others wait for it.
    """
    data, progress = load(), reporter(say)
    loop = Loop.at(arm.path, arm.recipe, data, seed=arm.seed, names=arm.names, progress=progress, accept_drift=accept_drift)
    there = len(loop.chain)
    for generation in loop.run(generations):
        if generation.number == 0:
            say({"founded": True})
        measure(generation, data, [*metrics, *arm.metrics], progress=progress)
        say({"done": generation.number, "found": generation.number < there})


def measure_real(folder: Path, load: Callable[[], Splits], metrics: Sequence[Metric], say: Say) -> None:
    """Measure real data as if it were a generation's samples: what metrics fit once, and features of real rows, are then in the cache.

    It keeps a core busy that would wait for generation 0.
    """
    data = load()
    ctx = Context(0, 0, data, cache=Chain(folder / "real").cache, progress=reporter(say))
    with limited_threads(1):
        for metric in metrics:
            metric(Evidence(data.real, data.real, data, ctx))


def reporter(say: Say) -> Progress:
    """Return the progress that tells what it shows to the process that listens."""

    @contextmanager
    def report(what: str, total: int) -> Iterator[Advance]:
        say({"task": what, "more": 0, "total": total})
        yield lambda more: say({"task": what, "more": more, "total": total})

    return report


def weigh(recipe: Recipe[M], generations: int) -> list[float]:
    """Return about how long each generation takes, in images trained: a network evaluation of a sampled row is a third of one.

    A trainer without a budget in images weighs as much as any other generation.
    """
    evaluations = getattr(recipe.sampler, "evaluations", None)
    sampling = recipe.sampler.n * (int(evaluations()) if callable(evaluations) else 1) / 3

    def training(trainer: Trainer[M]) -> float:
        return float(getattr(trainer, "images", recipe.sampler.n))

    return [training(recipe.trainer if number else recipe.founder) + sampling for number in range(generations + 1)]


def memory_of(data: Splits) -> int:
    """Return the bytes that an arm's process may take: 700 MB, and ten bytes for every byte of images.

    The images themselves, float32 copies of what is trained on and compared pixel by pixel, and what passes through in blocks.
    """
    rows = sum(len(pool) for pool in (data.real, data.reserve, data.judge, data.held_out))
    size = rows
    for side in data.image_shape:
        size *= side
    return FIXED + PER_BYTE * size


def at_once(each: int) -> int:
    """Return how many arms run at once: as many as there are cores, and as free memory holds at ``each`` bytes; at least one."""
    return max(1, min(machine.cores(), machine.free_memory() // each))


def place(folder: Path, arm: str, seed: int, seeds: int) -> Path:
    """Return the folder of an arm's seed: ARM-seedS, or ARM for a study of one seed; a run that is there keeps its folder.

    So the number of seeds can grow, and shrink, without any run being made twice.
    """
    long, short = folder / f"{arm}-seed{seed}", folder / arm
    if (long / CONFIG).exists():
        return long
    if (short / CONFIG).exists() and Chain(short).seed == seed:
        return short
    return short if seeds == 1 else long
