"""The tables of docs/results/redifine.md and guidance.md that germline table and germline guidance do not print, as Markdown.

python scripts/redifine_tables.py runs/redifine-toy              # last generation by kind and scale, paired differences, courses
python scripts/redifine_tables.py runs/redifine --generation 0   # the same of generation 0
python scripts/redifine_tables.py runs/redifine-toy --foretold   # what generation 0 foretold of each arm, and which side it took
python scripts/redifine_tables.py runs/redifine-toy --minus both-2 runs/toy-near guidance-scale-1.2-condition-drop-0.2

Runs that are not finished are left out, and named. --unclipped draws generation 0 again, for growths before clipping: seconds a run.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from lsf_tables import Study, opened, text

from germline import captioned
from germline.core.displacement import Displacement
from germline.core.intervals import over_seeds, paired
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.guidance import chosen_rows, observed
from germline.measure import measured
from germline.metrics.growth import flat
from germline.registry import Run
from germline.report.rates import slope
from germline.samplers import Denoised, Reloaded
from germline.verbs.guidance import FILE


class Looked(NamedTuple):
    """A measure of the samples: its name, and its neighbours and extractor where it has several."""

    name: str
    k: int | None = None
    extractor: str | None = None

    @property
    def title(self) -> str:
        """Return what stands above it."""
        return self.name + (f", {self.extractor}" if self.extractor else "")


DISTANCE = Looked("FD-classifier")
MEASURES = (
    Looked("FD-perceptron"),
    DISTANCE,
    Looked("FD-pca64-pixels"),
    Looked("recall"),
    Looked("coverage", 5),
    Looked("within_variance"),
    Looked("agreement"),
    Looked("alignment", None, "dual_encoder"),
    Looked("alignment", None, "dual_encoder_held_out"),
    Looked("high_frequency"),
    Looked("std"),
    Looked("saturation"),
)
COMPARED = MEASURES[:9]
KINDS = ("constant", "drop", "schedule", "both", "matched")
PAIRS = (
    ("drop", "constant"),
    ("schedule", "constant"),
    ("both", "constant"),
    ("matched", "constant"),
    ("schedule", "matched"),
    ("both", "matched"),
    ("both", "schedule"),
)
BLIND = ("std", "high_frequency")  # sides that know no classes
SIDES = ("blur", "exaggerate")
MISSING = ""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--foretold", action="store_true", help="hold the sealed predictions against the chains")
    parser.add_argument("--unclipped", action="store_true", help="with --foretold: the growths before clipping too")
    parser.add_argument("--generation", type=int, help="the tables of this generation, of all runs that have it; else of the last")
    parser.add_argument("--minus", nargs=3, metavar=("ARM", "OTHER", "CONTROL"), help="an arm minus an arm of another folder, by seed")
    asked = parser.parse_args()
    study, last = finished(opened(asked.folder), asked.generation)
    if asked.minus:
        arm, other, control = asked.minus
        beside, _ = finished(opened(Path(other)), asked.generation)
        print(difference(study[arm], beside[control], last))
        return
    lines = foretold(study, last, asked.unclipped) if asked.foretold else tables(study, last)
    for line in lines:
        print(line, flush=True)


def finished(study: Study, asked: int | None = None) -> tuple[Study, int]:
    """Return the runs that reached the generation asked for, else the last of any, and its number."""
    last = max(len(run.chain) for seeds in study.values() for run in seeds.values()) - 1 if asked is None else asked
    kept = {arm: {seed: run for seed, run in seeds.items() if len(run.chain) > last} for arm, seeds in study.items()}
    left = [f"{arm}-seed{seed}" for arm, seeds in study.items() for seed in seeds if seed not in kept[arm]]
    print(f"generation {last}" + (f"; not finished: {', '.join(left)}" if left else ""))
    return {arm: seeds for arm, seeds in kept.items() if seeds}, last


def tables(study: Study, last: int) -> Iterator[str]:
    """Yield every table but what was foretold."""
    yield from (*ends(study, last), *differences(study, last), *courses(study, last))


def value(run: Run, generation: int, look: Looked) -> float | None:
    """Return a measure of the samples; None where it is not measured of this run."""
    found = [one for one in measured(run.chain[generation]) if one.name == look.name and one.of == "samples"]
    return next((one.value for one in found if look.k in (None, one.k) and look.extractor in (None, one.extractor)), None)


def of_seeds(seeds: dict[int, Run], generation: int, look: Looked) -> dict[int, float]:
    """Return a measure by seed, of those that have it."""
    found = {seed: value(run, generation, look) for seed, run in seeds.items()}
    return {seed: one for seed, one in found.items() if one is not None}


def ends(study: Study, last: int) -> Iterator[str]:
    """Yield a table a measure, kinds down and scales across, and one of how fast the distance grows: means over seeds."""
    for look in MEASURES:
        found = {arm: [*of_seeds(seeds, last, look).values()] for arm, seeds in study.items()}
        if any(found.values()):
            yield from by_scale(look.title, found)
    rates = {arm: [found for run in seeds.values() if (found := rate(run, last)) is not None] for arm, seeds in study.items()}
    if any(rates.values()):
        yield from by_scale(f"slope of ln {DISTANCE.name} a generation", rates)


def by_scale(title: str, values: dict[str, list[float]]) -> Iterator[str]:
    """Yield one table; arms whose name is no kind and scale stand in rows of their own."""
    split = {arm: arm.partition("-")[::2] for arm in values}
    scales = sorted({scale for kind, scale in split.values() if kind in KINDS}, key=float)
    yield f"\n{title}\n\n| | {' | '.join(scales)} |\n{'|---' * (len(scales) + 1)}|"
    for kind in KINDS:
        cells = [shown(values.get(f"{kind}-{scale}", [])) for scale in scales]
        if any(cells):
            yield f"| {kind} | {' | '.join(cells)} |"
    yield from (f"| {arm} | {shown(values[arm])} |" for arm, (kind, _) in split.items() if kind not in KINDS)


def shown(values: Sequence[float]) -> str:
    """Return a mean with its interval, and how many seeds where there are fewer than three."""
    if not values:
        return MISSING
    return text(over_seeds(values)) + (f" ({len(values)} seed{'s' * (len(values) > 1)})" if len(values) < 3 else "")


def rate(run: Run, last: int) -> float | None:
    """Return the slope of ln distance a generation, as report/rates has it."""
    course = [value(run, generation, DISTANCE) for generation in range(last + 1)]
    logs = [math.log(one) for one in course if one is not None and one > 0]
    return slope(logs)[0] if len(logs) == last + 1 >= 3 else None


def differences(study: Study, last: int) -> Iterator[str]:
    """Yield arm minus control within a seed at the last generation."""
    there = [look for look in COMPARED if any(of_seeds(seeds, last, look) for seeds in study.values())]
    yield f"\n| difference | {' | '.join(look.title for look in there)} |\n{'|---' * (len(there) + 1)}|"
    for arm, control in pairs(study):
        yield f"| {arm} - {control} | {difference(study[arm], study[control], last, there)} |"


def difference(arm: dict[int, Run], control: dict[int, Run], last: int, looks: Sequence[Looked] = COMPARED) -> str:
    """Return arm minus control in each measure, by the seeds that both have."""
    cells = []
    for look in looks:
        ours, theirs = of_seeds(arm, last, look), of_seeds(control, last, look)
        both = sorted(set(ours) & set(theirs))
        cells.append(text(paired([ours[seed] for seed in both], [theirs[seed] for seed in both]), "+") if both else MISSING)
    return " | ".join(cells)


def pairs(study: Study) -> Iterator[tuple[str, str]]:
    """Yield (arm, control): each remedy against its constant and its match, scale by scale; and the planted effects."""
    for scale in (arm.removeprefix("constant-") for arm in study if arm.startswith("constant-")):
        for arm, control in PAIRS:
            if {f"{arm}-{scale}", f"{control}-{scale}"} <= set(study):
                yield f"{arm}-{scale}", f"{control}-{scale}"
    yield from ((arm, "constant-1") for arm in ("constant-1.5", "constant-2", "constant-3") if {arm, "constant-1"} <= set(study))


def courses(study: Study, last: int) -> Iterator[str]:
    """Yield each measure over the generations, with intervals over seeds."""
    for look in MEASURES:
        found = {arm: [[*of_seeds(seeds, at, look).values()] for at in range(last + 1)] for arm, seeds in study.items()}
        if whole := {arm: values for arm, values in found.items() if all(values)}:
            yield f"\n{look.title}\n\n| | {' | '.join(map(str, range(last + 1)))} |\n{'|---' * (last + 2)}|"
            yield from (f"| {arm} | {' | '.join(map(shown, values))} |" for arm, values in whole.items())


@dataclass(frozen=True)
class Cell:
    """An arm: growths foretold seed by seed, of stored and of unclipped samples, and ln(last / first) of what was observed."""

    arm: str
    guided: bool
    stored: tuple[float, ...]
    certain: tuple[str, ...]
    unclipped: tuple[float, ...]
    moved: dict[str, tuple[float, ...]]

    def says(self, rule: str) -> str:
        """Return the side that a rule foretells."""
        if rule == "naive":
            return SIDES[self.guided]
        return SIDES[fmean(self.stored if rule == "stored" else self.unclipped) > 1]

    def took(self, of: str) -> str | None:
        """Return the side that it took by an observable; None where the t-interval holds 0, or under three seeds."""
        found = over_seeds(self.moved[of])
        return SIDES[found.mean > 0] if found.excludes_zero else None

    @property
    def sealed(self) -> str:
        """Return the side that every seed's sealed interval over rows is certain of, or "hold"."""
        return self.certain[0] if len(set(self.certain)) == 1 else "hold"


def foretold(study: Study, last: int, with_unclipped: bool) -> Iterator[str]:
    """Yield h and s* of each network, the cells, and how many of those that took a side each rule had right."""
    yield from networks(study)
    guided = {arm: seeds for arm, seeds in study.items() if not isinstance(first_of(seeds).recipe.sampler, Reloaded)}
    cells = [cell(arm, seeds, last, with_unclipped) for arm, seeds in guided.items()]
    rules = ("stored", *(["unclipped"] if with_unclipped else []), "naive")
    looks = ("displacement", *BLIND)
    yield f"\n| cell | growth | {' | '.join(rules)} | sealed | {' | '.join(looks)} |\n{'|---' * (len(rules) + len(looks) + 3)}|"
    for one in cells:
        growth = f"{fmean(one.stored):.3f}" + (f" ({fmean(one.unclipped):.3f})" if one.unclipped else "")
        moved = [f"{one.took(of) or 'none'} {text(over_seeds(one.moved[of]), '+')}" for of in looks]
        yield f"| {one.arm} | {growth} | {' | '.join(map(one.says, rules))} | {one.sealed} | {' | '.join(moved)} |"
    for of in looks:
        yield from right(cells, rules, of)


def right(cells: Sequence[Cell], rules: Sequence[str], of: str) -> Iterator[str]:
    """Yield how many cells each rule had right, of those that took a side by this observable, and of those where the rules differ."""
    sided = [one for one in cells if one.took(of) is not None]
    apart = [one for one in sided if one.says("stored") != one.says("naive")]
    certain = [one for one in sided if one.sealed != "hold"]
    yield f"\nby {of}: {len(sided)} of {len(cells)} cells took a side"
    for rule in rules:
        hits = [sum(one.says(rule) == one.took(of) for one in some) for some in (sided, apart)]
        yield f"  {rule}: {hits[0]} of {len(sided)} right; where stored and naive differ {hits[1]} of {len(apart)}"
    yield f"  sealed as certain in every seed: {sum(one.sealed == one.took(of) for one in certain)} of {len(certain)} right"


def networks(study: Study) -> Iterator[str]:
    """Yield h, s* and the leak of each network that arms share, one a condition drop: means over seeds."""
    by_drop: dict[float, dict[int, Run]] = {}
    for seeds in study.values():
        by_drop.setdefault(first_of(seeds).recipe.founder.condition_drop, seeds)
    for drop, seeds in sorted(by_drop.items()):
        said = [sealed_in(run) for run in seeds.values()]
        h, critical = ([one["prediction"][name]["value"] for one in said] for name in ("h", "critical"))
        whole = text(over_seeds(critical)) if all(one is not None for one in critical) else str(critical)
        yield f"drop {drop:g}: h {text(over_seeds(h))}, s* {whole}, leak {text(over_seeds([one['leak'] for one in said]))}"


def cell(arm: str, seeds: dict[int, Run], last: int, with_unclipped: bool) -> Cell:
    """Return what was foretold of an arm, and what came of it."""
    said = [sealed_in(run)["prediction"]["own"] for run in seeds.values()]
    guidance = first_of(seeds).recipe.sampler.guidance_scale
    ways = [course(run) for run in seeds.values()]
    moved = {"displacement": tuple(math.log(way[last] / way[0]) for way in ways)}
    for name in BLIND:
        moved[name] = tuple(math.log(number(run, last, name) / number(run, 0, name)) for run in seeds.values())
    return Cell(
        arm,
        isinstance(guidance, GuidanceSchedule) or guidance > 1,
        tuple(one["growth"] for one in said),
        tuple(one["side"] for one in said),
        tuple(map(unclipped, seeds.values())) if with_unclipped else (),
        moved,
    )


def course(run: Run) -> list[float]:
    """Return the displacement of every generation, as germline guidance reads it where a caption has one image."""
    within = sealed_in(run).get("within")
    return captioned.observed(run.chain, run.data, within["share"]) if within else observed(run.chain, run.data)


def number(run: Run, generation: int, name: str) -> float:
    """Return a measure that must be there."""
    found = value(run, generation, Looked(name))
    if found is None:
        raise SystemExit(f"{run.name}: {name} of generation {generation} is not measured; germline measure {run.chain.path}")
    return found


def first_of(seeds: dict[int, Run]) -> Run:
    """Return the run of the first seed."""
    return next(iter(seeds.values()))


def sealed_in(run: Run) -> dict:
    """Return what is sealed in a run, made when generation 0 stood alone."""
    said = json.loads((run.chain.path / FILE).read_text())
    if said["finished"] != 1:
        raise SystemExit(f"{run.chain.path / FILE} was written when {said['finished']} generations were there: no prediction.")
    return said


def unclipped(run: Run, rows: int = 300) -> float:
    """Return the growth of generation 0 by its sampler's last x0_hat, which is its image before clipping and 8 bits."""
    sampler, ctx, first = run.recipe.sampler, run.chain.context(0, run.data), run.chain[0]
    assert isinstance(sampler, Denoised)
    assert sampler.solver in ("euler", "dpmpp_2m"), "whose last step ends in x0_hat"
    drawn, training = chosen_rows(first.samples, rows), first.training(run.data)
    last: dict[int, np.ndarray] = {}

    def keep(here: np.ndarray, sigma: float, x0_hat) -> None:
        last.update((int(row), x.permute(1, 2, 0).reshape(-1).double().numpy()) for row, x in zip(here, x0_hat, strict=True))

    sampler.watched(first.model, drawn, ctx, keep)
    labels = first.samples.condition[drawn]
    along = Displacement.of(flat(training), training.condition, labels)
    return float(along.shares(np.stack([last[int(row)] for row in drawn]), labels).sum())


if __name__ == "__main__":
    main()
