"""The tables of docs/results/redifine.md and guidance.md that germline table and germline guidance do not print.

python scripts/redifine_tables.py runs/redifine-toy              # last generation, paired differences, courses
python scripts/redifine_tables.py runs/redifine-toy --foretold   # what generation 0 foretold of each arm, and which side it took
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from lsf_tables import Study, opened, text

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

MEASURES = (
    ("FD-classifier", None),
    ("FD-perceptron", None),
    ("recall", None),
    ("coverage", 5),
    ("within_variance", None),
    ("high_frequency", None),
    ("std", None),
    ("agreement", None),
)
DIVERSITY = MEASURES[:5]  # what differences are printed of
BLIND = ("std", "high_frequency")  # sides that know no classes
SIDES = ("blur", "exaggerate")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--foretold", action="store_true", help="hold the sealed predictions against the chains")
    asked = parser.parse_args()
    study = opened(asked.folder)
    last = min(len(run.chain) for seeds in study.values() for run in seeds.values()) - 1
    for line in foretold(study, last) if asked.foretold else (*ends(study, last), *differences(study, last), *courses(study, last)):
        print(line, flush=True)


def value(run: Run, generation: int, name: str, k: int | None = None) -> float | None:
    """Return a measure of the samples; None where it is not measured of this run."""
    found = measured(run.chain[generation])
    return next((one.value for one in found if one.name == name and one.of == "samples" and k in (None, one.k)), None)


def of_seeds(seeds: dict[int, Run], generation: int, name: str, k: int | None) -> list[float]:
    """Return a measure of every seed; none where one has none."""
    found = [value(run, generation, name, k) for run in seeds.values()]
    return [one for one in found if one is not None] if None not in found else []


def ends(study: Study, last: int) -> Iterator[str]:
    """Yield each arm's means over seeds at the last generation, and how fast the distance grows."""
    yield f"generation {last}, {max(map(len, study.values()))} seeds"
    for arm, seeds in study.items():
        row = [(name, of_seeds(seeds, last, name, k)) for name, k in MEASURES]
        shown = [f"{name} {text(over_seeds(values))}" for name, values in row if values]
        yield f"{arm}: {', '.join(shown)}{rate(seeds, last)}"


def rate(seeds: dict[int, Run], last: int) -> str:
    """Return ", rate +0.31 [0.25, 0.37]": the slope of ln distance a generation, as report/rates has it."""
    courses = [[value(run, generation, "FD-classifier") for generation in range(last + 1)] for run in seeds.values()]
    known = [[math.log(one) for one in course if one is not None and one > 0] for course in courses]
    whole = [slope(course)[0] for course in known if len(course) == last + 1 >= 3]
    return f", rate {text(over_seeds(whole), '+')}" if len(whole) == len(seeds) else ""


def differences(study: Study, last: int) -> Iterator[str]:
    """Yield arm minus control within a seed at the last generation, and every difference's share of the control's mean."""
    for arm, control in pairs(study):
        row = []
        for name, k in DIVERSITY:
            ours, theirs = of_seeds(study[arm], last, name, k), of_seeds(study[control], last, name, k)
            if ours and theirs:
                row.append(f"{name} {text(paired(ours, theirs), '+')}")
        yield f"{arm} - {control}: {', '.join(row)}"


def pairs(study: Study) -> Iterator[tuple[str, str]]:
    """Yield (arm, control): each remedy against its constant and its match, scale by scale; and the planted effect."""
    for scale in (arm.removeprefix("constant-") for arm in study if arm.startswith("constant-")):
        names = {kind: f"{kind}-{scale}" for kind in ("constant", "drop", "schedule", "both", "matched")}
        for arm, control in (
            ("drop", "constant"),
            ("schedule", "constant"),
            ("both", "constant"),
            ("matched", "constant"),
            ("schedule", "matched"),
            ("both", "matched"),
            ("both", "schedule"),
        ):
            if {names[arm], names[control]} <= set(study):
                yield names[arm], names[control]
    for arm in ("constant-3", "constant-2"):
        if {arm, "constant-1"} <= set(study):
            yield arm, "constant-1"


def courses(study: Study, last: int) -> Iterator[str]:
    """Yield each measure over the generations, means over seeds."""
    for name, k in MEASURES:
        for arm, seeds in study.items():
            found = [of_seeds(seeds, generation, name, k) for generation in range(last + 1)]
            if all(found):
                yield f"{name}, {arm}: " + " ".join(f"{fmean(values):.3g}" for values in found)


@dataclass(frozen=True)
class Cell:
    """An arm: growths foretold seed by seed, of stored and of unclipped samples, and ln(last / first) of what was observed."""

    arm: str
    guided: bool
    stored: tuple[float, ...]
    certain: tuple[str, ...]
    unclipped: tuple[float, ...]
    moved: dict[str, tuple[float, ...]]

    @property
    def took(self) -> str | None:
        """The side that the displacement of class means took; None within the noise of seeds."""
        return side(self.moved["displacement"])


def side(logs: Sequence[float]) -> str | None:
    """Return the side of ln(last / first) over seeds; None where its t-interval holds 0, or under three seeds."""
    found = over_seeds(logs)
    return SIDES[found.mean > 0] if found.excludes_zero else None


def foretold(study: Study, last: int) -> Iterator[str]:
    """Yield h and s* of each network, the cells, and how many of those that took a side each rule had right."""
    yield from scales(study)
    found = [cell(arm, seeds, last) for arm, seeds in study.items() if not isinstance(first_of(seeds).recipe.sampler, Reloaded)]
    for one in found:
        rules = {"stored": likely(one.stored), "unclipped": likely(one.unclipped), "naive": SIDES[one.guided]}
        moved = ", ".join(f"{name} {text(over_seeds(logs), '+')}" for name, logs in one.moved.items())
        blind = ", ".join(f"{name} {side(one.moved[name])}" for name in BLIND)
        yield f"{one.arm}: stored {fmean(one.stored):.3f}, unclipped {fmean(one.unclipped):.3f}; said {rules}; sealed {one.certain}"
        yield f"    took {one.took}; {blind}; ln(last / first): {moved}"
    for of in ("displacement", *BLIND):
        yield from verdicts(found, of)


def verdicts(found: Sequence[Cell], of: str) -> Iterator[str]:
    """Yield the share of right sides of each rule among the cells that took one by this observable; and among those where rules differ."""
    sided = [(one, took) for one in found if (took := side(one.moved[of])) is not None]
    yield f"by {of}: {len(sided)} of {len(found)} cells took a side"
    rules = {
        "stored": lambda one: likely(one.stored),
        "unclipped": lambda one: likely(one.unclipped),
        "naive": lambda one: SIDES[one.guided],
    }
    for name, rule in rules.items():
        right = sum(rule(one) == took for one, took in sided)
        yield f"  {name}: {right} of {len(sided)} right"
    apart = [(one, took) for one, took in sided if likely(one.stored) != SIDES[one.guided]]
    yield f"  where stored and naive differ: stored {sum(likely(one.stored) == took for one, took in apart)} of {len(apart)}"
    certain = [(one, took) for one, took in sided if set(one.certain) in ({"blur"}, {"exaggerate"})]
    yield f"  where all seeds were sealed as certain of one side: {sum(one.certain[0] == took for one, took in certain)} of {len(certain)}"


def likely(growths: Sequence[float]) -> str:
    """Return the side foretold by the mean growth over seeds."""
    return SIDES[fmean(growths) > 1]


def scales(study: Study) -> Iterator[str]:
    """Yield h and s* of each network that arms share, one line a condition drop: mean over seeds."""
    by_drop: dict[float, dict[int, Run]] = {}
    for seeds in study.values():
        by_drop.setdefault(first_of(seeds).recipe.founder.condition_drop, seeds)
    for drop, seeds in sorted(by_drop.items()):
        said = [sealed_in(run) for run in seeds.values()]
        h, critical = ([one[name]["value"] for one in said] for name in ("h", "critical"))
        leaks = [json.loads((run.chain.path / FILE).read_text())["leak"] for run in seeds.values()]
        at_scales = zip(*(one["scales"] for one in said), strict=True)
        grown = " ".join(f"{at[0]['scale']:g}: {fmean(one['growth'] for one in at):.3g}" for at in at_scales)
        whole = text(over_seeds(critical)) if all(one is not None for one in critical) else str(critical)
        yield f"drop {drop:g}: h {text(over_seeds(h))}, s* {whole}, leak {text(over_seeds(leaks))}"
        yield f"    growth by scale, stored: {grown}"


def cell(arm: str, seeds: dict[int, Run], last: int) -> Cell:
    """Return what was foretold of an arm, and what came of it."""
    said = [sealed_in(run)["own"] for run in seeds.values()]
    guided = first_of(seeds).recipe.sampler.guidance_scale
    moved = {"displacement": tuple(math.log(d[last] / d[0]) for d in (observed(run.chain, run.data) for run in seeds.values()))}
    for name in BLIND:
        moved[name] = tuple(math.log(number(run, last, name) / number(run, 0, name)) for run in seeds.values())
    return Cell(
        arm,
        isinstance(guided, GuidanceSchedule) or guided > 1,
        tuple(one["growth"] for one in said),
        tuple(one["side"] for one in said),
        tuple(map(unclipped, seeds.values())),
        moved,
    )


def number(run: Run, generation: int, name: str) -> float:
    """Return a measure that must be there."""
    found = value(run, generation, name)
    if found is None:
        raise SystemExit(f"{run.name}: {name} of generation {generation} is not measured; germline measure {run.chain.path}")
    return found


def first_of(seeds: dict[int, Run]) -> Run:
    """Return the run of the first seed."""
    return next(iter(seeds.values()))


def sealed_in(run: Run) -> dict:
    """Return the prediction sealed in a run, made when generation 0 stood alone."""
    said = json.loads((run.chain.path / FILE).read_text())
    if said["finished"] != 1:
        raise SystemExit(f"{run.chain.path / FILE} was written when {said['finished']} generations were there: no prediction.")
    return said["prediction"]


def unclipped(run: Run, rows: int = 300) -> float:
    """Return the growth of generation 0 by its sampler's last x0_hat, which is its image before clipping and 8 bits."""
    sampler, ctx, first = run.recipe.sampler, run.chain.context(0, run.data), run.chain[0]
    assert isinstance(sampler, Denoised)
    assert sampler.solver in ("euler", "dpmpp_2m"), "whose last step ends in x0_hat"
    drawn, training = chosen_rows(first.samples, rows), first.training(run.data)
    last: dict[int, np.ndarray] = {}
    sampler.watched(
        first.model,
        drawn,
        ctx,
        lambda here, sigma, x0_hat: last.update(
            (int(row), x.permute(1, 2, 0).reshape(-1).double().numpy()) for row, x in zip(here, x0_hat, strict=True)
        ),
    )
    labels = first.samples.condition[drawn]
    along = Displacement.of(flat(training), training.condition, labels)
    return float(along.shares(np.stack([last[int(row)] for row in drawn]), labels).sum())


if __name__ == "__main__":
    main()
