"""The judge on chains whose fate is known: false alarms, detections with their delay, and which early sign foretells a collapse.

Finished chains are kept as JSON in the output folder and not made again, so a killed run goes on.

    python scripts/verdict_chains.py --out runs/verdict-chains [--only planted gaussian] [--quick] [--processes 1]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import Splits, split
from germline.data import digits
from germline.features import Classifier, Pixels
from germline.judge import steps_of
from germline.loop import Loop
from germline.mixers import Fresh
from germline.readings import Reading, Step, read
from germline.recipes.accumulate_subsample import accumulate_subsample
from germline.recipes.real_only import real_only
from germline.recipes.replace import replace as replace_recipe
from germline.recipes.setup import Setup
from germline.samplers.gaussian import DrawGaussian
from germline.trainers.gaussian import FitGaussian
from germline.verdict import BAD, conclude, first

N, ROWS = 290, 300
SCRATCH = Setup(founder_images=25_600, images=25_600, batch=128, start="scratch", channels=(16, 32), guidance_scale=1.0)
WARM = replace(SCRATCH, images=6_400, start="sequential")
SHORT = replace(WARM, founder_images=6_400, images=9_600)


@dataclass(frozen=True)
class Kind:
    """Chains of one kind: how many, what a right verdict is, and how to read one."""

    name: str
    chains: int
    healthy: bool
    read: Callable[[int, Path], list[Reading]]


def gaussian_splits(seed: int) -> Splits:
    """Return grey 4x4 images whose pixels are independent N(127.5, 25^2), with a reserve for eight generations of fresh rows."""
    sizes = {"real": ROWS, "reserve": 4 * ROWS, "judge": ROWS, "held_out": ROWS}
    x = np.random.default_rng(seed).normal(127.5, 25.0, (7 * ROWS, 4, 4, 1))
    return split("gaussian", np.clip(np.rint(x), 0, 255).astype(np.uint8), np.arange(len(x)) % 2, ("a", "b"), sizes)


def gaussian(seed: int, folder: Path) -> list[Reading]:
    """Return the readings of a chain of Gaussians, half of whose rows are fresh real ones."""
    recipe = Recipe(founder=FitGaussian(), mixer=Fresh(0.5), trainer=FitGaussian(), sampler=DrawGaussian(ROWS))
    loop = Loop.at(folder, recipe, gaussian_splits(seed), seed=seed)
    done = list(loop.run(8))
    return read(steps_of(done, loop.data), loop.chain.context(8, loop.data), Pixels())


def trained(recipe: Recipe, last: int, mix_from: int | None = None) -> Callable[[int, Path], list[Reading]]:
    """Return the reader of a chain of diffusion models on the digits; from ``mix_from`` on half the classes lose half their rows."""

    def reader(seed: int, folder: Path) -> list[Reading]:
        loop = Loop.at(folder, recipe, digits(), seed=seed)
        steps = steps_of(list(loop.run(last)), loop.data)
        if mix_from is not None:
            steps = [replace(step, samples=fewer(step.samples)) if g >= mix_from else step for g, step in enumerate(steps)]
        return read(steps, context(), Classifier(), Classifier(seed=1))

    return reader


def fewer(samples: Pool) -> Pool:
    """Return the samples with every second row of the classes 0 to 4 left out."""
    keep = np.ones(len(samples), bool)
    for label in range(5):
        keep[np.flatnonzero(samples.condition == label)[::2]] = False
    return samples.take(keep)


@cache
def context() -> Context:
    """Return the view on the digits in which planted chains are judged; what is fitted is kept in memory."""
    return Context(0, 0, digits(), cache=Cache(None))


def planted(make: Callable[[np.random.Generator, Splits, int], tuple[np.ndarray, np.ndarray]], generations: int = 9) -> list[Callable]:
    """Return [the steps of a chain of real rows that ``make`` alters, the reader of such a chain]."""

    def steps(seed: int) -> list[Step]:
        rng, data = np.random.default_rng(seed), context().data
        pools = [Pool.of(*make(rng, data, g), generation=g) for g in range(generations)]
        return [Step(pool, data.real) for pool in pools]

    return [steps, lambda seed, _: read(steps(seed), context(), Classifier(), Classifier(seed=1))]


def drawn(rng: np.random.Generator, data: Splits) -> tuple[np.ndarray, np.ndarray]:
    """Return images and classes of real rows that the chain's R does not hold."""
    stock = Pool.concat([data.reserve, data.judge])
    rows = stock.take(rng.permutation(len(stock))[:N])
    return rows.images[:], rows.condition


def noisy(images: np.ndarray, rng: np.random.Generator, sd: float) -> np.ndarray:
    """Return the images with Gaussian pixel noise."""
    return np.clip(np.rint(images + rng.normal(0, 1, images.shape) * sd), 0, 255).astype(np.uint8)


def stable(rng: np.random.Generator, data: Splits, g: int) -> tuple[np.ndarray, np.ndarray]:
    """Real rows."""
    return drawn(rng, data)


def class_loss(rng: np.random.Generator, data: Splits, g: int) -> tuple[np.ndarray, np.ndarray]:
    """A growing share of what is asked to show class 3 shows another class; nothing shows it from generation 6 on."""
    images, asked = drawn(rng, data)
    mine = np.flatnonzero(asked == 3)
    lost = mine[rng.random(len(mine)) < g / 6]
    images[lost] = images[rng.choice(np.flatnonzero(asked != 3), len(lost))]
    return images, asked


def memorising(rng: np.random.Generator, data: Splits, g: int) -> tuple[np.ndarray, np.ndarray]:
    """A growing share, up to 64 %, of rows of the training set, two grey levels up or down."""
    images, asked = drawn(rng, data)
    rows = rng.permutation(len(data.real))[:N]
    copies = rng.random(N) < 0.08 * g
    near = data.real.images[rows].astype(np.int64) + rng.choice([-2, 2], images.shape)
    images[copies] = np.clip(near, 0, 255).astype(np.uint8)[copies]
    return images, np.where(copies, data.real.condition[rows], asked)


def drifting(rng: np.random.Generator, data: Splits, g: int) -> tuple[np.ndarray, np.ndarray]:
    """Growing pixel noise: entropy rises."""
    images, asked = drawn(rng, data)
    return noisy(images, rng, 6.0 * g), asked


def improving(rng: np.random.Generator, data: Splits, g: int) -> tuple[np.ndarray, np.ndarray]:
    """Falling pixel noise."""
    images, asked = drawn(rng, data)
    return noisy(images, rng, max(56.0 - 7 * g, 0)), asked


def changed_mix(rng: np.random.Generator, data: Splits, g: int) -> tuple[np.ndarray, np.ndarray]:
    """Half the classes at half their share from generation 3 on, as asked."""
    images, asked = drawn(rng, data)
    keep = (asked > 4) | (rng.random(N) < 0.5) | (g < 3)
    return images[keep], asked[keep]


PLANTED = {make.__name__: make for make in (stable, class_loss, memorising, drifting, improving, changed_mix)}


def kinds() -> list[Kind]:
    """Return every kind, the cheap ones first."""
    plant = {name: planted(make)[1] for name, make in PLANTED.items()}
    guided = replace(WARM, guidance_scale=2.0)
    return [
        Kind("gaussian fresh", 40, True, gaussian),
        *(Kind(f"planted {name}", 10, name in ("stable", "improving", "changed_mix"), reader) for name, reader in plant.items()),
        Kind("replace w=2", 10, False, trained(replace_recipe(N, guided), 8)),
        Kind("replace w=1", 10, False, trained(replace_recipe(N, WARM), 8)),
        Kind("real-only small n", 1, True, trained(real_only(100, SCRATCH), 6)),
        Kind("real-only changed mix", 1, True, trained(real_only(N, SCRATCH), 6, mix_from=3)),
        Kind("real-only improving", 1, True, trained(real_only(N, SHORT), 6)),
        Kind("real-only", 17, True, trained(real_only(N, SCRATCH), 6)),
        Kind("accumulate-subsample w=2", 10, False, trained(accumulate_subsample(N, setup=guided), 8)),
    ]


def one(job: tuple[str, int, Path]) -> str:
    """Read one chain, unless its readings are there."""
    name, seed, out = job
    path = out / f"{name.replace(' ', '_')}-{seed}.json"
    if not path.exists():
        kind = next(kind for kind in kinds() if kind.name == name)
        folder = Path(tempfile.mkdtemp(prefix="chain-", dir=out))
        readings = kind.read(seed, folder / "run")
        shutil.rmtree(folder)
        path.with_suffix(".tmp").write_text(json.dumps([asdict(reading) for reading in readings]))
        path.with_suffix(".tmp").rename(path)
    return name


def load(path: Path) -> list[Reading]:
    """Return the readings in a file."""
    return [Reading(**{k: tuple(v) if isinstance(v, list) else v for k, v in r.items()}) for r in json.loads(path.read_text())]


def judged(readings: list[Reading]) -> tuple[list[str], int | None, int | None]:
    """Return the words from generation 1 on, the generation of the first alarm, and the generation since when the alarm stays."""
    words = [conclude(first(readings, n)).word for n in range(2, len(readings[0].values) + 1)]
    alarms = [g for g, word in enumerate(words, 1) if word in BAD]
    since = next((g for g in alarms if all(later in alarms for later in range(g, len(words) + 1))), None)
    return words, alarms[0] if alarms else None, since


def table(out: Path) -> Iterator[str]:
    """Yield a Markdown table, a row a kind, of what is finished."""
    ends = ("improving", "stable", "unclear", "collapsing", "diverging")
    ever = "unclear at any generation | alarm at any generation"
    yield f"| chains | run of planned | {' | '.join(ends)} | {ever} | delay: median (range) |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for kind in kinds():
        said = [judged(load(path)) for path in sorted(out.glob(f"{kind.name.replace(' ', '_')}-[0-9]*.json"))]
        counts = [sum(words[-1] == name for words, _, _ in said) for name in ends]
        counts.append(sum("unclear" in words for words, _, _ in said))
        since = [at for _, _, at in said if at is not None]
        delay = f"{np.median(since):g} ({min(since)} to {max(since)})" if since else "-"
        counts.append(sum(alarm is not None for _, alarm, _ in said))
        what = "healthy" if kind.healthy else "to be detected"
        yield f"| {kind.name} ({what}) | {len(said)} of {kind.chains} | {' | '.join(map(str, counts))} | {delay} |"


SIGNS = {
    "distance": ("Frechet distance", 1),
    "coverage": ("coverage", -1),
    "entropy": ("log neighbour distance", -1),
    "generalisation score": ("log pixel distance to training rows", -1),
}


def signs(out: Path) -> Iterator[str]:
    """Yield a Markdown table: the change of a sign from generation 0 to 1 and 2 against the growth of the distance at 6 and later.

    Over the trained and Gaussian chains; a positive correlation says that the sign turns bad where the chain will. The last rows tell
    slow collapses from healthy chains, where an early sign is worth most.
    """
    paths = [p for kind in kinds() if "planted" not in kind.name for p in sorted(out.glob(f"{kind.name.replace(' ', '_')}-[0-9]*.json"))]
    chains = [{r.name: np.asarray(r.values) for r in load(path)} for path in paths]
    families = [("trained", [c for c in chains if "agreement" in c]), ("Gaussian", [c for c in chains if "agreement" not in c])]
    yield "| chains | sign | at | Spearman | AUC |"
    yield "|---|---|---|---|---|"
    for family, members in families:
        if len(members) < 8:
            yield f"| {family} | - | - | too few chains ({len(members)}) | |"
            continue
        distance = np.array([c["Frechet distance"][6:].mean() / c["Frechet distance"][0] for c in members])
        for name, (key, sign) in SIGNS.items():
            for at in (1, 2):
                x = np.array([sign * (c[key][at] - c[key][0]) for c in members])
                yield f"| {family} ({len(members)}) | {name} | {at} | {interval(spearman, x, distance)} | {interval(auc, x, distance)} |"
    slow, healthy = ([c for p, c in zip(paths, chains, strict=True) if p.name.startswith(name)] for name in ("accumulate", "real-only"))
    grows = np.array([2.0] * len(slow) + [1.0] * len(healthy))  # by kind, not by outcome
    for name, (key, sign) in SIGNS.items() if slow and healthy else ():
        for at in (1, 2):
            x = np.array([sign * (c[key][at] - c[key][0]) for c in slow + healthy])
            yield f"| slow ({len(slow)}) or real-only ({len(healthy)}) | {name} | {at} | | {interval(auc, x, grows)} |"


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Return the rank correlation."""
    return float(spearmanr(x, y).statistic)


def auc(x: np.ndarray, y: np.ndarray) -> float:
    """Return the chance that a chain whose distance grew by a third or more shows the larger sign; NaN without both sorts."""
    bad, good = x[y > 4 / 3], x[y <= 4 / 3]
    gap = bad[:, None] - good
    return float(((gap > 0) + 0.5 * (gap == 0)).mean()) if gap.size else float("nan")


def interval(statistic: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray) -> str:
    """Return the statistic with its 95 % bootstrap interval over chains."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(x), size=(1_000, len(x)))
    draws = [statistic(x[i], y[i]) for i in rows if len(np.unique(i)) > 2]
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(draws).any() else (np.nan, np.nan)
    return f"{statistic(x, y):.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Run what is missing, then write and print the tables."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--out", type=Path, default=Path("runs/verdict-chains"))
    flags.add_argument("--only", nargs="*", help="kinds whose names begin so; 'none' prints the tables of what is there")
    flags.add_argument("--quick", action="store_true", help="two chains of each kind")
    flags.add_argument("--seed", type=int, default=0, help="the first seed; tuning uses 100 and more")
    flags.add_argument("--processes", type=int, default=1)
    given = flags.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    wanted = [kind for kind in kinds() if not given.only or any(kind.name.startswith(name) for name in given.only)]
    jobs = [(k.name, given.seed + i, given.out) for k in wanted for i in range(min(k.chains, 2) if given.quick else k.chains)]
    with ProcessPoolExecutor(given.processes, get_context("forkserver")) as pool:
        for i, name in enumerate(pool.map(one, jobs), 1):
            print(f"{i} of {len(jobs)}: {name}", flush=True)
    text = "\n".join([*table(given.out), "", *signs(given.out)]) + "\n"
    (given.out / "tables.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
