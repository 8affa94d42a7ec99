"""The numbers of docs/results/lsf.md that germline table does not print, from the runs of ``germline study lsf``.

python scripts/lsf_tables.py runs/lsf            # last generation, differences as generations go, class counts, OLE by generation
python scripts/lsf_tables.py runs/lsf --levels   # OLE at every noise level too: a minute an arm
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np

from germline import registry
from germline.core.intervals import Interval, over_seeds, paired
from germline.features import Bottleneck
from germline.measure import measured
from germline.metrics.by_class import balanced
from germline.metrics.ole import variants
from germline.recipes.lsf import SIGMAS
from germline.registry import Run

COLUMNS = (
    ("FD-classifier", None),
    ("precision", None),
    ("recall", None),
    ("coverage", 1),
    ("entropy", None),
    ("ole_unit", None),
    ("confidence", None),
)
PAIRS = (
    ("acu-lsf", "matched"),
    ("acu-lsf", "acur"),
    ("acu-lsf", "acu"),
    ("acu-lsf", "syn-add"),
    ("held-out", "acu-lsf"),
    ("per-class", "acur"),
    ("lsf-farthest", "acur"),
    ("lsf-farthest", "acu-lsf"),
    ("syn-lsf", "syn-uniform"),
    ("random-probe", "acur"),
    ("matched", "acur"),
    ("syn-add", "acur"),
    ("real-only", "acur"),
)
LEVELS = ("real-only", "syn", "acu", "acu-lsf")
Study = dict[str, dict[int, Run]]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", action="store_true", help="OLE of samples at every noise level, at the first and the last generation")
    asked = parser.parse_args()
    study = opened(asked.folder)
    last = min(len(run.chain) for seeds in study.values() for run in seeds.values()) - 1
    for line in (*ends(study, last), *differences(study, last), *counts(study, last), *courses(study, last)):
        print(line)
    if asked.levels:
        for line in levels(study, last):
            print(line, flush=True)


def opened(folder: Path) -> Study:
    """Return the runs of a study by arm and seed."""
    found: Study = {}
    for path in sorted(path for path in folder.iterdir() if (path / "config.json").is_file()):
        run = registry.open_run(path)
        seed = int(str(run.chain.config["seed"]))
        found.setdefault(path.name.removesuffix(f"-seed{seed}"), {})[seed] = run
    return found


def value(run: Run, generation: int, name: str, k: int | None = None) -> tuple[float, int | None]:
    """Return a measure of the samples, and the number of rows it was measured on."""
    found = measured(run.chain[generation])
    return next((v.value, v.n) for v in found if v.name == name and v.of == "samples" and k in (None, v.k))


def ends(study: Study, last: int) -> Iterator[str]:
    """Yield each arm's means over seeds at the last generation."""
    for arm, seeds in study.items():
        means = (over_seeds([value(run, last, name, k)[0] for run in seeds.values()]) for name, k in COLUMNS)
        yield f"{arm}: " + ", ".join(f"{name} {text(mean)}" for (name, _), mean in zip(COLUMNS, means, strict=True))


def differences(study: Study, last: int) -> Iterator[str]:
    """Yield arm minus control, seed by seed, at every generation from 1 on."""
    for (name, k), (arm, control) in product(COLUMNS[:4], PAIRS):
        row = []
        for generation in range(1, last + 1):
            both = [(value(study[arm][s], generation, name, k), value(study[control][s], generation, name, k)) for s in study[arm]]
            assert all(ours[1] == theirs[1] for ours, theirs in both), "measured on other numbers of samples"
            row.append(text(paired([ours[0] for ours, _ in both], [theirs[0] for _, theirs in both]), "+"))
        yield f"{name}, {arm} - {control}: {' | '.join(row)}"


def counts(study: Study, last: int) -> Iterator[str]:
    """Yield the rows of the smallest and the largest class of T_g, over seeds, and the share of real rows."""
    for arm, seeds in study.items():
        row = []
        for generation in range(1, last + 1):
            sets = [run.chain[generation].training(run.data) for run in seeds.values()]
            rows = [np.bincount(pool.condition, minlength=len(run.data.classes)) for pool, run in zip(sets, seeds.values(), strict=True)]
            row.append(f"{np.min(rows)}-{np.max(rows)} ({fmean(float(pool.real.mean()) for pool in sets):.2f} real)")
        yield f"rows of a class, {arm}: {' | '.join(row)}"


def courses(study: Study, last: int) -> Iterator[str]:
    """Yield distance, OLE of unit length and confidence as the generations go, means over seeds."""
    for name, (arm, seeds) in product(("FD-classifier", "ole_unit", "confidence"), study.items()):
        course = [fmean(value(run, generation, name)[0] for run in seeds.values()) for generation in range(last + 1)]
        yield f"{name}, {arm}: " + " ".join(f"{mean:.3g}" for mean in course)


def levels(study: Study, last: int) -> Iterator[str]:
    """Yield OLE of 100 samples a class at each noise level, mean over seeds, of unit length and raw."""
    for arm, generation in product(LEVELS, (0, last)):
        found = [[ole_at(run, generation, sigma) for sigma in SIGMAS] for run in study[arm].values()]
        unit, raw = np.mean(found, axis=0).T
        yield f"OLE, {arm}, generation {generation}: unit {np.round(unit).astype(int).tolist()}, raw {np.round(raw).astype(int).tolist()}"


def ole_at(run: Run, generation: int, sigma: float) -> tuple[float, float]:
    """Return OLE of unit length and raw; features are made anew, since all of a study would take gigabytes of cache."""
    ctx = run.chain.context(generation, run.data)
    rows = balanced(run.chain[generation].samples, 100, "OLE")
    found = variants(Bottleneck(sigma)(rows, ctx), rows.condition)
    return found["ole_unit"], found["ole"]


def text(interval: Interval, sign: str = "") -> str:
    """Return "-10.0 [-15.8, -4.18]"."""
    ends: Sequence[float] = () if interval.low is None or interval.high is None else (interval.low, interval.high)
    return f"{interval.mean:{sign}.3g}" + (f" [{', '.join(f'{end:{sign}.3g}' for end in ends)}]" if ends else "")


if __name__ == "__main__":
    main()
