"""Greedy selection and threshold decay beside the plain forms: CPU seconds a pick, and that the picks are the same.

One thread each, one process; every round times all of them in turn, and the medians count. The plain forms cost the same at every pick,
so they are timed on a prefix of at least 2,000 picks, and the table extrapolates them to all picks (marked *).

    python benchmarks/selection.py [--rows 65536 --picks 32768 --dim 384] [--features file.npy] [--rounds 1]

Without ``--features`` the rows are synthetic: 24 random directions through a tanh, and noise.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from germline.selectors.farthest import farthest
from germline.selectors.threshold_decay import threshold_decay


def synthetic(rows: int, dim: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(24, dim))
    return np.concatenate([np.tanh(rng.normal(size=(4096, 24)) @ mix) + rng.normal(size=(4096, dim)) / 4 for _ in range(-(-rows // 4096))])[
        :rows
    ].astype(np.float32)


def cdist_per_pick(x: torch.Tensor, picks: int) -> list[int]:
    """The released code's form: one ``torch.cdist`` to the newest pick."""
    chosen = [0]
    distance = torch.cdist(x, x[:1]).squeeze(1)
    while len(chosen) < picks:
        distance[chosen[-1]] = -1
        new = int(distance.argmax())
        chosen.append(new)
        distance = torch.minimum(distance, torch.cdist(x, x[new : new + 1]).squeeze(1))
    return chosen


def product_per_pick(x: np.ndarray, picks: int) -> list[int]:
    """Cached norms and one matrix-vector product."""
    norms = np.einsum("ij,ij->i", x, x)
    chosen, distance = [0], norms - 2 * (x @ x[0]) + norms[0]
    while len(chosen) < picks:
        distance[chosen[-1]] = -1
        new = int(distance.argmax())
        chosen.append(new)
        np.minimum(distance, norms - 2 * (x @ x[new]) + norms[new], out=distance)
    return chosen


def cdist_per_accepted(x: torch.Tensor, picks: int, decay: float) -> list[int]:
    """The double loop of the paper, but with one ``torch.cdist`` to each accepted row instead of one a candidate."""
    accepted, left = [0], torch.cdist(x, x[:1]).squeeze(1)
    tau = float(left.max())
    left[0] = -1
    while len(accepted) < picks:
        row = 0
        while len(accepted) < picks:
            ahead = left[row:] > tau
            if not ahead.any():
                break
            row += int(ahead.int().argmax())
            accepted.append(row)
            left = torch.minimum(left, torch.cdist(x, x[row : row + 1]).squeeze(1))
            left[row] = -1
        tau *= decay
    return accepted


def greedy_in_integers(x: np.ndarray, picks: int) -> list[int]:
    """Plain greedy on integer features; float64 holds every product exactly."""
    wide = x.astype(np.float64)
    norms = np.einsum("ij,ij->i", wide, wide)
    chosen, distance = [0], norms - 2 * (wide @ wide[0]) + norms[0]
    while len(chosen) < picks:
        distance[chosen[-1]] = -1
        new = int(distance.argmax())
        chosen.append(new)
        np.minimum(distance, norms - 2 * (wide @ wide[new]) + norms[new], out=distance)
    return chosen


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def table(title: str, runs: dict[str, tuple[Callable[[], object], float]], rounds: int) -> None:
    """Print median CPU seconds, scaled to all picks, and ratios to the first entry."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, scale) in runs.items():
            times[name].append(cpu_seconds(run) * scale)
    ours = statistics.median(times[next(iter(runs))])
    print(title)
    for name, (_, scale) in runs.items():
        seconds = statistics.median(times[name])
        print(f"  {name:<44}{seconds:>10.2f} CPU s{'*' if scale > 1 else ' '}{seconds / ours:>9.1f}x")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--rows", type=int, default=65_536)
    flags.add_argument("--picks", type=int, default=32_768)
    flags.add_argument("--dim", type=int, default=384)
    flags.add_argument("--prefix", type=int, default=2_000)
    flags.add_argument("--rounds", type=int, default=1)
    flags.add_argument("--features", type=Path)
    given = flags.parse_args()
    x = np.load(given.features) if given.features else synthetic(given.rows, given.dim)
    x = np.ascontiguousarray(x[np.random.default_rng(1).permutation(len(x))[: given.rows], : given.dim], np.float32)
    rows, picks, prefix = len(x), min(given.picks, len(x)), min(given.prefix, given.picks)
    centred = x - x.mean(axis=0)
    tensor = torch.from_numpy(centred)
    print(f"{rows} rows, d = {x.shape[1]}, {'features of ' + given.features.name if given.features else 'synthetic features'}")

    table(
        f"greedy, {picks} picks (plain forms timed on {prefix})",
        {
            "farthest": (lambda: farthest(x, picks, 0), 1),
            "one torch.cdist a pick": (lambda: cdist_per_pick(tensor, prefix), picks / prefix),
            "cached norms, one numpy product a pick": (lambda: product_per_pick(centred, prefix), picks / prefix),
        },
        given.rounds,
    )
    few = min(8_192, rows)
    order, small = np.arange(few), x[:few]
    table(
        f"threshold decay 0.95, {few} -> {few // 2}",
        {
            "threshold_decay": (lambda: threshold_decay(small, order, few // 2), 1),
            "one torch.cdist an accepted row": (lambda: cdist_per_accepted(tensor[:few], few // 2, 0.95), 1),
        },
        max(3, given.rounds),
    )
    plain = cdist_per_accepted(tensor[:few].double(), few // 2, 0.95)
    print(f"  same rows in the same order as the plain form in float64: {plain == threshold_decay(small, order, few // 2).tolist()}")

    many = min(16_384, rows)
    integers = np.rint(x[:many] / np.abs(x).max() * 127).astype(np.float32)
    integers = integers[np.sort(np.unique(integers, axis=0, return_index=True)[1])]
    half = min(8_192, len(integers) // 2)
    same = greedy_in_integers(integers, half) == farthest(integers, half, 0).tolist()
    print(f"quantised to 8 bits, {half} picks of {len(integers)} distinct rows: the same as plain greedy in integers, in order: {same}")
    real, ours = cdist_per_pick(tensor.double(), min(300, picks)), farthest(x, picks, 0)[:300].tolist()
    first = next((i for i, (a, b) in enumerate(zip(real, ours, strict=True)) if a != b), None)
    print(f"as given, the first {len(real)} picks against float64: {'identical' if first is None else f'first difference at pick {first}'}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        main()
