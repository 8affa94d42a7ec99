"""Arms compared: every headline metric's mean over seeds, and its difference to a reference arm, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Literal, Protocol, TypeVar

from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.intervals import ENOUGH, Interval, over_seeds, paired
from germline.core.measurement import Measurement

FIRST = ("FD-", "FID")  # every Frechet distance, whatever its features
HEADLINE = ("coverage", "entropy", "generalisation_score", "agreement")
CONTROL = "real-only"
When = Literal["last", "mean"]


class Measured(Protocol):
    """What is compared: a run as ``report.arms.Run`` has it."""

    @property
    def name(self) -> str:
        """Its folder's name."""

    @property
    def seed(self) -> int:
        """Of every random draw."""

    @property
    def config(self) -> dict[str, Json]:
        """The content of config.json."""

    @property
    def splits(self) -> str:
        """The digest of the data set's splits."""

    @property
    def values(self) -> tuple[tuple[Measurement, ...], ...]:
        """Everything measured of each generation."""


R = TypeVar("R", bound=Measured)


@dataclass(frozen=True)
class Contrast:
    """An arm's mean over its ``seeds``; ``difference`` is arm - reference over the seeds that both have.

    ``difference`` is None for the reference itself, and where the reference was not measured under equal conditions.
    """

    arm: str
    seeds: tuple[int, ...]
    value: Interval
    difference: Interval | None = None

    @property
    def ordering(self) -> Literal["", "higher", "lower", "undecided"]:
        """How the arm stands to the reference: nothing under three seeds, "undecided" where the interval holds 0."""
        gap = self.difference
        if gap is None or gap.low is None:
            return ""
        return ("higher" if gap.mean > 0 else "lower") if gap.excludes_zero else "undecided"


@dataclass(frozen=True)
class Comparison:
    """One metric on the samples, for all arms in which it was measured under equal conditions (extractor, n, k, d).

    ``when`` is "last", the values at ``generation``, or "mean", each seed's mean over the generations 1 to ``generation``.
    """

    metric: str
    extractor: str | None
    n: int | None
    k: int | None
    d: int | None
    better: str | None
    when: When
    generation: int
    against: str
    arms: tuple[Contrast, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the comparison as JSON, with the ordering of each arm."""
        arms: list[Json] = [{**asdict(arm), "seeds": list(arm.seeds), "ordering": arm.ordering} for arm in self.arms]
        return {**asdict(self), "arms": arms}


@dataclass(frozen=True)
class Key:
    """What must be equal to compare two values."""

    metric: str
    extractor: str | None
    n: int | None
    k: int | None
    d: int | None
    better: str | None


Points = dict[Key, dict[int, float]]  # a run's values, by generation


def compare(runs: Sequence[Measured], against: str | None = None) -> list[Comparison]:
    """Return the comparisons of the arms of one data set: each headline metric at the last generation, then its mean over generations.

    Runs of equal parts are the seeds of one arm. Arms stand in the order given: by what they are, not by how they did. The last
    generation is that of the reference arm; runs that have not come so far are left out, and the numbers of seeds say so.

    Args:
        runs: finished or not; those without a measurement count for nothing.
        against: the reference arm; ``real-only`` when not given and there, else the first arm.

    Raises:
        BadInput: the runs are of several data sets, or no arm has the name ``against``.
    """
    if len({run.splits for run in runs}) > 1:
        raise BadInput("Runs on different data sets cannot be compared; give the runs of one data set.")
    arms = {name: same for name, same in arms_of(runs).items() if any(any(run.values) for run in same)}
    if not arms:
        return []
    reference = against or (CONTROL if CONTROL in arms else next(iter(arms)))
    if reference not in arms:
        raise BadInput(f"No arm is named {reference!r}. There are: {', '.join(arms)}.")
    last = max(len(run.values) for run in arms[reference]) - 1
    points = {name: {run.seed: points_of(run) for run in same} for name, same in arms.items()}
    keys = sorted({key for same in points.values() for run in same.values() for key in run}, key=rank_of)
    whens: tuple[When, ...] = ("last", "mean") if last > 1 else ("last",)
    found = [_comparison(key, when, last, reference, points) for key in keys for when in whens]
    return [comparison for comparison in found if comparison.arms]


def arms_of(runs: Sequence[R]) -> dict[str, list[R]]:
    """Return the runs by arm, seeds together; the same seed twice makes two arms."""
    together = seeds_together(runs)
    own = _apart([arm_name(same[0]) for same in together], [_study(same[0]) for same in together])
    return {name: sorted(same, key=lambda run: run.seed) for name, same in zip(own, together, strict=True)}


def seeds_together(runs: Sequence[R]) -> list[list[R]]:
    """Return the runs of equal parts and images together, in the order given; the same seed twice stands apart."""
    together: list[list[R]] = []
    for run in runs:
        for same in together:
            equal = all(same[0].config[key] == run.config[key] for key in ("parts", "data"))
            if equal and run.seed not in {other.seed for other in same}:
                same.append(run)
                break
        else:
            together.append([run])
    return together


def arm_name(run: Measured) -> str:
    """Return the name of the arm that a run is a seed of: the study's, else its folder's without the seed."""
    names = run.config.get("names")
    known = names.get("arm") if isinstance(names, dict) else None
    return str(known) if known else run.name.removesuffix(f"-seed{run.seed}")


def _study(run: Measured) -> str:
    names = run.config.get("names")
    return str(names.get("study", "")) if isinstance(names, dict) else ""


def _apart(names: Sequence[str], studies: Sequence[str]) -> list[str]:
    """Return names that differ: with the study's before them, or a number behind them, where they do not."""
    full = [f"{study}/{name}" if study and names.count(name) > 1 else name for name, study in zip(names, studies, strict=True)]
    return [f"{name} #{full[:i].count(name) + 1}" if full.count(name) > 1 else name for i, name in enumerate(full)]


def caveat(comparisons: Sequence[Comparison]) -> str:
    """Return how far the seeds carry, in a sentence or three; nothing where there is nothing to compare."""
    gaps = [arm.difference for comparison in comparisons for arm in comparison.arms if arm.difference is not None]
    seeds = [arm.value.n for comparison in comparisons for arm in comparison.arms]
    if not seeds:
        return ""
    if max(seeds) < ENOUGH:
        few = "One seed" if max(seeds) == 1 else "Two seeds"
        return (
            f"{few} an arm: no interval and no ordering is stated, for so few values do not tell how much seeds vary. "
            f"Run the study with {ENOUGH} seeds or more."
        )
    tested = [gap for gap in gaps if gap.low is not None]
    return (
        f"Intervals are 95 % t-intervals over seeds, those of differences seed by seed; arms with fewer than {ENOUGH} seeds have none. "
        f"A difference whose interval holds 0 is undecided. {len(tested)} differences are tested, each by itself: "
        "one in twenty would exclude 0 by chance."
    )


def points_of(run: Measured, metrics: Sequence[str] = ()) -> Points:
    """Return a run's values of these metrics on its samples, of the headline metrics when none is named, by key and generation.

    Where a metric's number of rows varies from generation to generation, since copies are left out, that of all samples is meant.
    """
    every = [(g, value) for g, values in enumerate(run.values) for value in values if value.of == "samples"]
    most = max((value.n for _, value in every if value.n is not None), default=None)
    sizes: dict[tuple[str, str | None], set[int | None]] = {}
    for _, value in every:
        sizes.setdefault((value.name, value.extractor), set()).add(value.n)
    found: Points = {}
    for g, value in every:
        if value.name in metrics or (not metrics and (value.name.startswith(FIRST) or value.name in HEADLINE)):
            n = value.n if len(sizes[value.name, value.extractor]) == 1 else most
            found.setdefault(Key(value.name, value.extractor, n, value.k, value.d, value.better), {}).setdefault(g, value.value)
    return found


def rank_of(key: Key) -> tuple[int, str]:
    """Return the place of a metric among others: fidelity first, then in the order of the headline metrics."""
    return (HEADLINE.index(key.metric) + 1 if key.metric in HEADLINE else 0), str(key)


def _comparison(key: Key, when: When, last: int, reference: str, points: dict[str, dict[int, Points]]) -> Comparison:
    wanted = [last] if when == "last" else list(range(1, last + 1))
    values: dict[str, dict[int, float]] = {}
    for arm, seeds in points.items():
        found = {seed: run.get(key, {}) for seed, run in seeds.items()}
        values[arm] = {seed: fmean(at[g] for g in wanted) for seed, at in found.items() if all(g in at for g in wanted)}
    base = values[reference]
    contrasts = tuple(_contrast(arm, of, None if arm == reference else base) for arm, of in values.items() if of)
    return Comparison(key.metric, key.extractor, key.n, key.k, key.d, key.better, when, last, reference, contrasts)


def _contrast(arm: str, values: dict[int, float], base: dict[int, float] | None) -> Contrast:
    both = [seed for seed in values if seed in (base or {})]
    gap = paired([values[seed] for seed in both], [base[seed] for seed in both]) if base and both else None
    return Contrast(arm, tuple(values), over_seeds(list(values.values())), gap)
