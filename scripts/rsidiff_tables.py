"""The tables of docs/results/rsidiff.md: every arm against the untrained base, on equal prompts and noise, round by round.

python scripts/rsidiff_tables.py runs/rsidiff-ablations
python scripts/rsidiff_tables.py runs/rsidiff-kept --rounds 2 4 8

A difference is of one prompt's images, averaged over seeds; its interval is a bootstrap over prompts, so it says nothing of other trainings
than these: for that, look how far the seeds lie apart. Runs that have not reached a round are left out of it, and named.
"""

import argparse
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from lsf_tables import Study, opened

from germline.core.noise import bootstrap
from germline.core.pool import Pool
from germline.measure import measured
from germline.registry import Run
from germline.scorers import DualEncoder
from germline.scorers.plain import scores

SCORERS = (DualEncoder(), DualEncoder(held_out=True))
DRIFT = {"base_distance": "samples", "contrast": "samples", "colourfulness": "samples", "alike": "samples", "weight": "training"}
REFERENCE = "base"
WHOLES = ("rsidiff", "kept-23", "calibrated")  # a study's arm with the paper's setting, which the others are compared with
MIDDLE, LATE = (3, 4, 5), (6, 7, 8)  # the rounds of "rises, then declines"; named after seed 0 was looked at, before seed 1 was


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, nargs="+", help="rounds that are shown; all that an arm has reached when not given")
    parser.add_argument("--seed", type=int, help="this seed alone; all when not given")
    asked = parser.parse_args()
    study = opened(asked.folder)
    if asked.seed is not None:
        study = {arm: {asked.seed: seeds[asked.seed]} for arm, seeds in study.items() if asked.seed in seeds}
    reached = max(len(run.chain) for seeds in study.values() for run in seeds.values())
    rounds = asked.rounds or [*range(1, reached)]
    for line in chain(moved(study, rounds), declines(study, rounds), parts(study, rounds), drifts(study, rounds)):
        print(line, flush=True)


def moved(study: Study, rounds: list[int]) -> Iterator[str]:
    """Yield a table a scorer: what each arm moved from the base, by round, and over all of them in standard errors and by seed too."""
    for scorer in SCORERS:
        yield f"\n{scorer.name}: difference to the untrained base; * where the interval leaves out 0\n"
        yield f"| arm | {' | '.join(f'round {number}' for number in rounds)} | all rounds | standard errors | each seed |"
        yield "|---" * (len(rounds) + 4) + "|"
        for arm in (name for name in study if not name.startswith(REFERENCE)):
            found = [difference(study, arm, reference(study, arm, number), number, scorer) for number in rounds]
            whole = together(found)
            chose = " (chose)" if scorer.name in selecting(study, arm) else ""
            errors = "" if whole is None else f"{whole.mean() / (whole.std(ddof=1) / np.sqrt(len(whole))):+.1f}"
            yield f"| {arm}{chose} | {' | '.join(map(short, found))} | {shown(whole)} | {errors} | {by_seed(study, arm, rounds, scorer)} |"


def declines(study: Study, rounds: list[int]) -> Iterator[str]:
    """Yield how far each arm had risen in the middle rounds, and how much of it was lost in the late ones."""
    if not {*MIDDLE, *LATE} <= {*rounds}:
        return
    yield f"\nRise: rounds {MIDDLE[0]} to {MIDDLE[-1]} minus the untrained base; decline: rounds {LATE[0]} to {LATE[-1]} minus those\n"
    yield f"| arm | {' | '.join(f'{scorer.name}: rise | decline' for scorer in SCORERS)} |\n|---{'|---|---' * len(SCORERS)}|"
    for arm in (name for name in study if not name.startswith(REFERENCE)):
        cells: list[str] = []
        for scorer in SCORERS:
            of = [together([difference(study, arm, reference(study, arm, n), n, scorer) for n in part]) for part in (MIDDLE, LATE)]
            middle, late = of
            cells += [shown(middle), "" if middle is None or late is None else unpaired(late, middle)]
        yield f"| {arm} | {' | '.join(cells)} |"


def parts(study: Study, rounds: list[int]) -> Iterator[str]:
    """Yield the arm with the paper's setting minus every other trained one, over the rounds that both have."""
    whole = next((arm for arm in WHOLES if arm in study), None)
    if whole is None:
        return
    yield f"\n{whole} minus the other arms\n"
    yield f"| arm | rounds | {' | '.join(scorer.name for scorer in SCORERS)} |\n|---|---{'|---' * len(SCORERS)}|"
    for arm in (name for name in study if name != whole and not name.startswith(REFERENCE)):
        both = [number for number in rounds if has(study, arm, number) and has(study, whole, number)]
        if both:
            yield f"| {arm} | {both[0]} to {both[-1]} | {' | '.join(beyond(study, whole, arm, both, scorer) for scorer in SCORERS)} |"


def drifts(study: Study, rounds: list[int]) -> Iterator[str]:
    """Yield a table a measure of drift: means over seeds."""
    for name, of in DRIFT.items():
        rows = {arm: [mean_of(seeds, number, name, of) for number in (0, *rounds)] for arm, seeds in study.items()}
        if any(any(one is not None for one in row) for row in rows.values()):
            yield f"\n{name}\n\n| arm | {' | '.join(f'round {number}' for number in (0, *rounds))} |\n{'|---' * (len(rounds) + 2)}|"
            yield from (f"| {arm} | {' | '.join('' if v is None else f'{v:.3g}' for v in row)} |" for arm, row in rows.items())


def difference(study: Study, arm: str, other: str | None, number: int, scorer: DualEncoder) -> Float64[np.ndarray, " prompts"] | None:
    """Return arm minus other by prompt, the mean over the seeds that both have; None where none has."""
    if other is None:
        return None
    seeds = [seed for seed in study[arm] if seed in study[other] and min(len(study[x][seed].chain) for x in (arm, other)) > number]
    if not seeds:
        return None
    every = [by_prompt(study[arm][seed], number, scorer) - by_prompt(study[other][seed], number, scorer) for seed in seeds]
    return np.asarray(np.mean(every, axis=0))


def beyond(study: Study, whole: str, arm: str, rounds: list[int], scorer: DualEncoder) -> str:
    """Return the whole minus the arm, each minus its own base where their prompts differ, which leaves no pairs of prompts."""
    if all(asked_alike(study, whole, arm, number) for number in rounds):
        return shown(together([difference(study, whole, arm, number, scorer) for number in rounds]))
    of = (together([difference(study, x, reference(study, x, n), n, scorer) for n in rounds]) for x in (whole, arm))
    ours, theirs = of
    if ours is None or theirs is None:
        return ""
    return unpaired(ours, theirs)


def unpaired(ours: Float64[np.ndarray, " prompts"], theirs: Float64[np.ndarray, " others"]) -> str:
    """Return the difference of two means of other prompts, with its interval."""
    half = 1.96 * np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))
    gap = ours.mean() - theirs.mean()
    return f"{gap:+.4f} [{gap - half:+.4f}, {gap + half:+.4f}]"


def together(found: list[Float64[np.ndarray, " prompts"] | None]) -> Float64[np.ndarray, " prompts"] | None:
    """Return the differences of all prompts of all rounds that there are."""
    every = [one for one in found if one is not None]
    return np.concatenate(every) if every else None


def reference(study: Study, arm: str, number: int) -> str | None:
    """Return the untrained arm that was asked the same prompts in this round."""
    untrained = (name for name in study if name.startswith(REFERENCE))
    return next((name for name in untrained if asked_alike(study, arm, name, number)), None)


def asked_alike(study: Study, arm: str, other: str, number: int) -> bool:
    """Return whether both have the round, and were asked the same prompts in it."""
    if not (has(study, arm, number) and has(study, other, number)):
        return False
    one, two = (first(study, name, number).chain[number].samples.condition for name in (arm, other))
    return bool(np.array_equal(one, two))


def first(study: Study, arm: str, number: int) -> Run:
    """Return the arm's first seed that has the round."""
    return next(run for run in study[arm].values() if len(run.chain) > number)


def has(study: Study, arm: str, number: int) -> bool:
    """Return whether any seed of the arm has the round."""
    return arm in study and any(len(run.chain) > number for run in study[arm].values())


def by_prompt(run: Run, number: int, scorer: DualEncoder) -> Float64[np.ndarray, " prompts"]:
    """Return the mean score of every prompt's images, in the order in which the prompts come."""
    return _by_prompt(run.chain.path, run.chain[number].samples, scorer)


@cache
def _by_prompt(path: Path, samples: Pool, scorer: DualEncoder) -> Float64[np.ndarray, " prompts"]:
    _, at, place = np.unique(samples.condition, return_index=True, return_inverse=True)
    kept = scores(scorer, samples, cache=path.parent / ".cache")  # where the run left them when it was measured
    means = np.bincount(place, kept) / np.bincount(place)
    found: np.ndarray = means[np.argsort(at)]
    return found


def selecting(study: Study, arm: str) -> tuple[str, ...]:
    """Return the names of the scorers that chose an arm's training rows."""
    recipe = next(iter(study[arm].values())).recipe
    return () if recipe is None else tuple(getattr(recipe.selector, "by", ()))


def mean_of(seeds: dict[int, Run], number: int, name: str, of: str) -> float | None:
    """Return a measure of a round's samples, or of its training set; the mean over the seeds that have it."""
    found = [
        one.value
        for run in seeds.values()
        if len(run.chain) > number
        for one in measured(run.chain[number])
        if one.name == name and one.of == of
    ]
    return float(np.mean(found)) if found else None


def by_seed(study: Study, arm: str, rounds: list[int], scorer: DualEncoder) -> str:
    """Return the mean over all rounds of each seed."""
    found = []
    for seed in sorted(study[arm]):
        alone = {name: {seed: seeds[seed]} for name, seeds in study.items() if seed in seeds}
        whole = together([difference(alone, arm, reference(alone, arm, number), number, scorer) for number in rounds])
        found += [] if whole is None else [f"{whole.mean():+.4f}"]
    return ", ".join(found)


def short(values: Float64[np.ndarray, " prompts"] | None) -> str:
    """Return a mean, with a star where its interval leaves out 0."""
    if values is None:
        return ""
    low, high = bootstrap(values)
    return f"{values.mean():+.4f}{'*' if low > 0 or high < 0 else ''}"


def shown(values: Float64[np.ndarray, " prompts"] | None) -> str:
    """Return a mean with its interval."""
    if values is None:
        return ""
    low, high = bootstrap(values)
    return f"{values.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main()
