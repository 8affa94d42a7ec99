"""Junk among the picks: 1 % of a pool is noise, half-black or shuffled pictures; whom does each way of choosing take?

    python benchmarks/pool_junk.py [--picks 700] [--seeds 3]

The pool: 6,930 embedded Fashion-MNIST images and 70 junk ones, a third of each kind, made of other images of the set. Spaces: pixels, and
the 64 features of a classifier fitted on the judge split, of which no image is in the pool. Prints, for each way, the share of the picks
that is junk, the share of all junk that was picked, and the shares of all junk and of all good rows that --keep-quantile dropped: the least
and the most of the seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from germline.core.splits import Splits
from germline.data import fashion_mnist
from germline.features import Classifier, Pixels
from germline.pools import shards_of
from germline.pools.blocks import Fit
from germline.pools.select import By, Wish, select
from germline.pools.work import Work, do

ROWS, JUNK = 7_000, 70


def planted(data: Splits, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pool's images and which of them are junk."""
    rng = np.random.default_rng(seed)
    images = np.concatenate([pool.images[:] for pool in (data.real, data.reserve, data.held_out)])[:ROWS]
    junk = rng.choice(len(images), JUNK, replace=False)
    for number, row in enumerate(junk):
        if number % 3 == 0:
            images[row] = rng.integers(0, 256, images[row].shape)
        elif number % 3 == 1:
            images[row, : images.shape[1] // 2] = 0
        else:
            patches = images[row, ..., 0].reshape(4, 7, 4, 7).swapaxes(1, 2).reshape(16, 7, 7)[rng.permutation(16)]
            images[row, ..., 0] = patches.reshape(4, 4, 7, 7).swapaxes(1, 2).reshape(28, 28)
    return images, np.isin(np.arange(len(images)), junk)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picks", type=int, default=700)
    parser.add_argument("--seeds", type=int, default=3)
    flags = parser.parse_args()
    data = fashion_mnist()
    ways: list[tuple[By, float | None]] = [("uniform", None), ("farthest", None)]
    ways += [("farthest", keep) for keep in (0.99, 0.95, 0.9)] + [("threshold-decay", None), ("threshold-decay", 0.95)]
    print("| space | by | keep-quantile | junk among picks | junk picked | junk dropped | good dropped |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for space, extractor in (("pixels", Pixels()), ("classifier", Classifier())):
            found: dict[tuple[By, float | None], list[list[float]]] = {way: [] for way in ways}
            for seed in range(flags.seeds):
                images, junk = planted(data, seed)
                path = Path(folder) / f"pool_{seed}.npy"
                np.save(path, images)
                pool = shards_of(str(path))
                work = Work(Path(folder) / f"out_{seed}_{space}", extractor=extractor, fit=Fit(None, 1), real=data)
                do(work, pool)
                for by, keep in ways:
                    choice = select(work, pool, Wish(flags.picks, by, keep_quantile=keep, seed=seed))
                    dropped = np.zeros(len(junk), bool)
                    for places, _ in choice.dropped:
                        dropped[places] = True
                    picked = junk[choice.places]
                    found[by, keep].append([picked.mean(), picked.sum() / junk.sum(), dropped[junk].mean(), dropped[~junk].mean()])
            for (by, keep), seeds in found.items():
                x = 100 * np.array(seeds)
                cells = [f"{low:.1f} to {high:.1f} %" for low, high in zip(x.min(axis=0), x.max(axis=0), strict=True)]
                print(f"| {' | '.join((space, by, str(keep or 'none'), *cells))} |", flush=True)


if __name__ == "__main__":
    main()
