"""What a study will do and cost, before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from germline.chain import Chain
from germline.core import digest, machine
from germline.core.board import duration
from germline.core.splits import Splits
from germline.estimate import Cost, Rates, cost, rates
from germline.study import Arm, at_once, memory_of

M = TypeVar("M")


@dataclass(frozen=True)
class Plan:
    """A whole study: a generation 0 that several arms share is trained once, and sampled once where their samplers are equal.

    ``seconds`` of work on one thread, ``wall`` with ``processes`` at once; both None where a trainer states no budget in images.
    ``finished`` generations of ``whole`` are in the folder already and will not be made again; the estimates are of all.
    """

    arms: tuple[str, ...]
    seeds: int
    generations: int
    finished: int
    whole: int
    images: int | None
    rows: int
    bytes: int | None
    seconds: float | None
    wall: float | None
    processes: int
    cores: int
    memory_each: int
    memory_free: int

    def text(self) -> str:
        """Return the plan in words."""
        seeds = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        memory = f"{self.memory_free / 1e9:.1f} GB free, {self.memory_each / 1e9:.1f} GB a process"
        lines = [
            f"{len(self.arms)} arms, {seeds}, generations 0 to {self.generations}: {', '.join(self.arms)}",
            f"{self.processes} at once: {self.cores} cores, {memory}.",
        ]
        if self.finished:
            lines.append(f"{self.finished} of {self.whole} generations are finished already and not made again; what follows is for all.")
        if self.images is None or self.bytes is None or self.seconds is None or self.wall is None:
            return "\n".join(
                [*lines, f"{self.rows:,} rows are sampled. A trainer states no budget in images, so there is no estimate of time."]
            )
        what = f"In all {self.images:,} images are trained on, {self.rows:,} rows sampled, {self.bytes / 1e6:,.0f} MB kept;"
        time = f"about {duration(self.wall)} of training and sampling ({duration(self.seconds)} on one thread), timed here just now;"
        return "\n".join([*lines, what, f"{time} selection and metrics come on top."])


def plan(arms: Sequence[Arm[M]], data: Splits, generations: int, processes: int | None = None) -> Plan:
    """Return what the arms will do and cost with this many processes at once (as cores and memory allow when not given).

    Wall time is the greater of all work spread evenly and the longest that one arm must wait and run.
    """
    slots = min(processes or at_once(memory_of(data)), len(arms))
    timed: dict[str, Rates | None] = {}
    shared: dict[tuple[str, int], set[str]] = {}
    costs: list[Cost] = []
    bases: dict[str, Cost] = {}  # one for all arms and seeds
    longest, rows, known = 0.0, 0, True
    for arm in arms:
        arm.recipe.enough(generations, data)
        kind = digest.of_json([digest.describe(part) for part in (arm.recipe.founder, arm.recipe.trainer, arm.recipe.sampler)])
        if kind not in timed:
            timed[kind] = rates(arm.recipe, data)
        founder, sampler = digest.of_part(arm.recipe.founder), digest.of_part(arm.recipe.sampler)
        there = shared.setdefault((founder, arm.seed), set())
        rows += arm.recipe.sampler.n * (generations + (sampler not in there))
        if found := timed[kind]:
            own = cost(arm.recipe, data, found, 1, generations) if generations else Cost(0, 0, 0, 0.0)
            first = cost(arm.recipe, data, found, 0, 0)
            costs += [own, *_founder(first, found, trained=bool(there), sampled=sampler in there)]
            longest = max(longest, first.seconds + own.seconds + sum(base.seconds for base in found.bases.values()))
            bases |= found.bases
        known = known and found is not None
        there.add(sampler)
    costs += bases.values()
    seconds = sum(part.seconds for part in costs)
    return Plan(
        arms=tuple(dict.fromkeys(arm.path.name.removesuffix(f"-seed{arm.seed}") for arm in arms)),
        seeds=len({arm.seed for arm in arms}),
        generations=generations,
        finished=sum(min(len(Chain(arm.path)), generations + 1) for arm in arms),
        whole=len(arms) * (generations + 1),
        images=sum(part.images for part in costs) if known else None,
        rows=rows,
        bytes=sum(part.bytes for part in costs) if known else None,
        seconds=seconds if known else None,
        wall=max(seconds / slots, longest) if known else None,
        processes=slots,
        cores=machine.cores(),
        memory_each=memory_of(data),
        memory_free=machine.free_memory(),
    )


def _founder(first: Cost, found: Rates, trained: bool, sampled: bool) -> list[Cost]:
    """Return what is left to do of a generation 0: nothing, its samples only, or all of it."""
    if sampled:
        return []
    if trained:  # the model is a hard link
        return [Cost(0, first.rows, first.bytes - found.model, first.rows * found.row)]
    return [first]
