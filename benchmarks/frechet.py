"""The Frechet distance beside ``scipy.linalg.sqrtm``: CPU seconds and agreement.

One thread, float64, one process, rounds of both in turn; medians count.

    python benchmarks/frechet.py [--dim 2048] [--rows 4096] [--rounds 3]
"""

import argparse
import statistics
import time

import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_limits

from germline.metrics.frechet import Moments, frechet_distance, frechet_distance_of_rows


def by_sqrtm(a: Moments, b: Moments) -> float:
    gap = a.mean - b.mean
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    return float(gap @ gap + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.trace(root.real))


def by_cholesky(a: Moments, b: Moments) -> float:
    return frechet_distance(a.mean, a.covariance, b.mean, b.covariance)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--dim", type=int, default=2048)
    flags.add_argument("--rows", type=int, default=4096)
    flags.add_argument("--rounds", type=int, default=3)
    given = flags.parse_args()
    rng = np.random.default_rng(0)
    scale = np.arange(1, given.dim + 1) ** -0.5  # a spectrum that falls like that of image features
    mix = rng.normal(size=(given.dim, given.dim)) / np.sqrt(given.dim)
    x, y = (rng.normal(size=(given.rows, given.dim)) * scale @ mix + shift for shift in (0, 0.01))
    a, b = Moments.of(x), Moments.of(y)
    methods = {"frechet_distance": by_cholesky, "scipy.linalg.sqrtm": by_sqrtm}
    times: dict[str, list[float]] = {name: [] for name in methods}
    values = {}
    for _ in range(given.rounds):
        for name, method in methods.items():
            start = time.process_time()
            values[name] = method(a, b)
            times[name].append(time.process_time() - start)
    ours, theirs = (statistics.median(times[name]) for name in methods)
    for name in methods:
        print(f"{name:<22}{statistics.median(times[name]):8.2f} CPU s   value {values[name]:.9f}")
    apart = abs(values["frechet_distance"] / values["scipy.linalg.sqrtm"] - 1)
    print(f"d = {given.dim}, {given.rows} rows: {theirs / ours:.1f}x; relative difference {apart:.1e}")

    few = given.dim // 2
    start = time.process_time()
    low_rank = frechet_distance_of_rows(x[:few], y[:few])
    print(f"{few} rows, fewer than features, by nuclear norm: {time.process_time() - start:.2f} CPU s, value {low_rank:.6f}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
