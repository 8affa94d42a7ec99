"""Choosing k of n prompts by mini-batch k-means, beside scikit-learn's full k-means with as many passes: CPU seconds, spread, memory.

Both start from the same random rows and take five passes; the spread is the mean distance of a row to its centre. Rows are unit vectors of
384 numbers around planted centres. One thread. At the paper's size (n = 172,000, k = 40,000) both cost 100 times the default.

    python benchmarks/diversify.py [--n 17200] [--k 4000] [--full 1]
"""

import argparse
import resource
import time

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from germline.core.progress import bars
from germline.prompts.diversify import EPOCHS, _nearest, clusters, cost_of


def planted(n: int, k: int, width: int = 384) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(k, width)).astype(np.float32)
    rows = centres[rng.integers(k, size=n)] + rng.normal(size=(n, width)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--n", type=int, default=17_200)
    flags.add_argument("--k", type=int, default=4_000)
    flags.add_argument("--full", type=int, default=1)
    given = flags.parse_args()
    rows = planted(given.n, given.k // 2)
    texts = [str(i) for i in range(given.n)]
    with threadpool_limits(1):
        start = time.process_time()
        found = clusters(rows, texts, given.k, 0, "mini-batch", bars)
        ours = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        said = cost_of(given.n, given.k, "mini-batch")
        print(f"n = {given.n:,}, k = {given.k:,}")
        print(f"{'mini-batch':<22}{ours:9.1f} CPU s   spread {found.distance.mean():.4f}   centres without rows {found.reseeded:,}")
        print(f"{'':<22}{int(str(said['multiply_adds'])) / ours / 1e9:9.1f} G multiply-adds a CPU second   peak memory {peak / 1e9:.2f} GB")
        if given.full:
            first = rows[np.random.default_rng(0).permutation(given.n)[: given.k]]
            start = time.process_time()
            full = KMeans(given.k, init=first, n_init=1, max_iter=EPOCHS, algorithm="lloyd").fit(rows)
            theirs = time.process_time() - start
            _, distance = _nearest(rows, full.cluster_centers_, bars)
            print(f"{'KMeans, 5 iterations':<22}{theirs:9.1f} CPU s   spread {distance.mean():.4f}   {theirs / ours:.2f} times ours")


if __name__ == "__main__":
    main()
