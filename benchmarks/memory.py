"""Peak memory and wall time of choosing 50,000 of 500,000 memory-mapped rows, the features never copied.

One process writes the features (768 MB at the default size), a fresh one selects. Mapped pages count as resident.

    python benchmarks/memory.py [--rows 500000 --picks 50000 --dim 384] [--features file.npy]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from germline.selectors.farthest import farthest


def write(path: Path, rows: int, dim: int) -> None:
    """Write synthetic features: 24 random directions through a tanh, and noise."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(24, dim)).astype(np.float32)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dim))
    for start in range(0, rows, 8192):
        n = min(8192, rows - start)
        out[start : start + n] = np.tanh(rng.normal(size=(n, 24)).astype(np.float32) @ mix) + rng.normal(size=(n, dim)) / 4
    out.flush()


def select(path: Path, picks: int) -> None:
    features = np.load(path, mmap_mode="r")
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.perf_counter()
    with threadpool_limits(1):
        chosen = farthest(features, picks, 0)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{len(chosen)} of {features.shape[0]} rows, d = {features.shape[1]} ({features.nbytes / 1e6:.0f} MB)")
    memory = f"peak resident {after.ru_maxrss * 1024 / 1e9:.2f} GB ({before.ru_maxrss * 1024 / 1e9:.2f} before)"
    print(f"wall {wall:.0f} s, CPU {cpu:.0f} s, {memory}")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--rows", type=int, default=500_000)
    flags.add_argument("--picks", type=int, default=50_000)
    flags.add_argument("--dim", type=int, default=384)
    flags.add_argument("--features", type=Path, help="selected from if the file is there, else written")
    given = flags.parse_args()
    if given.features and given.features.exists():
        select(given.features, given.picks)
        return
    if given.features:
        write(given.features, given.rows, given.dim)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        size = ("--rows", str(given.rows), "--dim", str(given.dim), "--picks", str(given.picks))
        for _ in ("write", "select"):
            subprocess.run([sys.executable, __file__, "--features", str(path), *size], check=True)


if __name__ == "__main__":
    main()
