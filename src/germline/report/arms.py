"""The runs of a page: kept apart by data set, the seeds of an arm together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan

from germline.chain import Chain
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.generation import Generation
from germline.core.measurement import Measurement
from germline.core.splits import Splits
from germline.measure import measured
from germline.report.compare import seeds_together
from germline.report.origins import pretrained, real_share


@dataclass(frozen=True, eq=False)
class Run:
    """A run with at least one finished generation, read once."""

    name: str
    chain: Chain
    data: Splits

    @cached_property
    def config(self) -> dict[str, Json]:
        """The content of config.json."""
        return self.chain.config

    @cached_property
    def generations(self) -> tuple[Generation, ...]:
        """The finished generations."""
        return self.chain.generations()

    @cached_property
    def values(self) -> tuple[tuple[Measurement, ...], ...]:
        """Everything measured of each generation."""
        return tuple(tuple(measured(generation)) for generation in self.generations)

    @cached_property
    def splits(self) -> str:
        """The digest of the data set's splits: images of the user's own beside them, which one arm was given, do not count."""
        return str(self.config["data"]) if self.data.given is None else replace(self.data, given=None).digest

    @property
    def seed(self) -> int:
        """The seed of every random draw."""
        return int(str(self.config["seed"]))

    @property
    def names(self) -> dict[str, Json]:
        """What rebuilds the run by name; empty where it was made in Python."""
        names = self.config.get("names")
        return names if isinstance(names, dict) else {}

    @property
    def last(self) -> Generation:
        """The last finished generation."""
        return self.generations[-1]


@dataclass(frozen=True, eq=False)
class Arm:
    """One recipe on one data set, at one or more seeds; ``style`` is its colour and marker, the same all over the page."""

    name: str
    runs: tuple[Run, ...]
    style: int = 0

    @property
    def shown(self) -> Run:
        """The run whose images are shown: the one of the lowest seed."""
        return self.runs[0]

    @cached_property
    def length(self) -> int:
        """Return how many generations all seeds have finished."""
        return min(len(run.generations) for run in self.runs)

    @cached_property
    def control(self) -> bool:
        """Whether every training set of every seed holds real rows only."""
        return all(real_share(generation) == 1 for run in self.runs for generation in run.generations if not pretrained(generation))

    def __len__(self) -> int:
        return len(self.runs)


@dataclass(frozen=True, eq=False)
class Group:
    """The arms on one data set. Images and numbers of two groups are never drawn into one figure."""

    data: Splits
    arms: tuple[Arm, ...]

    @property
    def seeds(self) -> int:
        """The lowest number of seeds of an arm."""
        return min(len(arm) for arm in self.arms)

    @property
    def most_seeds(self) -> int:
        """The highest number of seeds of an arm."""
        return max(len(arm) for arm in self.arms)

    @property
    def equal_seeds(self) -> bool:
        """Whether all arms are shown at one seed, so that a row starts from the same noise in all of them."""
        return len({arm.shown.seed for arm in self.arms}) == 1

    @property
    def last(self) -> int:
        """The number of the last generation of the longest run."""
        return max(run.last.number for arm in self.arms for run in arm.runs)


def groups(runs: Sequence[tuple[str, Chain, Splits]]) -> list[Group]:
    """Return the groups, one a data set, in the order given.

    Within a group the arms are ordered by the share of real rows in their last training set, lowest first: by what they do, not by
    how well they do.

    Raises:
        BadInput: there is no run, or a run has no finished generation.
    """
    if not runs:
        raise BadInput("A report needs at least one run; give a run folder.")
    by_data: dict[str, list[Run]] = {}
    for name, chain, data in runs:
        if not len(chain):
            raise BadInput(f"{chain.path} has no finished generation yet; run it, or leave it out of the report.")
        run = Run(name, chain, data)
        by_data.setdefault(run.splits, []).append(run)
    return [Group(same[0].data, _arms(same)) for same in by_data.values()]


def _arms(runs: Sequence[Run]) -> tuple[Arm, ...]:
    """Return runs of equal parts as one arm; the same seed twice makes two arms."""
    together = seeds_together(runs)
    arms = [Arm(_name(same), tuple(sorted(same, key=lambda run: run.seed))) for same in together]
    arms.sort(key=lambda arm: (isnan(share := real_share(arm.shown.last)), 0 if isnan(share) else share))
    return tuple(replace(arm, style=i) for i, arm in enumerate(arms))


def _name(runs: Sequence[Run]) -> str:
    return runs[0].name if len(runs) == 1 else str(runs[0].names.get("arm", runs[0].name.removesuffix(f"-seed{runs[0].seed}")))
