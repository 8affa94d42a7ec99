"""The lower bound of `audit --pool --real` on planted shares: is it below the truth, and how much of it does it see?

    python benchmarks/audit_share.py

Embedded Fashion-MNIST, pixels as features, 2,000 rows a pool, 2,000 known real rows, 20 draws a cell. Made rows: a Gaussian with the
moments of the judge split's 64 principal components; real rows reduced to 64 of these components and back; and fresh real rows as a
control that nothing can see. No diffusion model is among them. Prints a Markdown table.
"""

import numpy as np

from germline.audit.share import unlike
from germline.core.seeds import rng
from germline.data import fashion_mnist

ROWS, DRAWS, SHARES = 2_000, 20, (0.0, 0.01, 0.1, 0.5)


def flat(pool):
    """Return the images of a pool as rows of numbers in 0..1."""
    return pool.images[:].reshape(len(pool), -1).astype(np.float32) / 255


def main():
    data = fashion_mnist()
    judge, real, fresh = flat(data.judge), flat(data.real), np.concatenate([flat(data.reserve), flat(data.held_out)])
    middle = judge.mean(0)
    _, values, axes = np.linalg.svd(judge - middle, full_matrices=False)
    axes, spread = axes[:64], values[:64] / np.sqrt(len(judge) - 1)
    drawn = rng(0, -1, "gaussian").normal(size=(ROWS, 64)) * spread @ axes + middle
    made = {
        "Gaussian": np.rint(255 * drawn.clip(0, 1)) / 255,
        "64 components and back": np.rint(255 * ((judge[:ROWS] - middle) @ axes.T @ axes + middle).clip(0, 1)) / 255,
        "real rows (control)": judge[:ROWS],
    }
    print("| made rows | share | bound at most the share | bound: median | least | most |\n|---|---|---|---|---|---|")
    for name, rows in made.items():
        for share in SHARES:
            low = []
            for draw in range(DRAWS):
                chance, count = rng(0, -1, "pool", draw), round(share * ROWS)
                taken = fresh[chance.choice(len(fresh), ROWS - count, replace=False)]
                pool = np.concatenate([taken, rows[chance.choice(len(rows), count, replace=False)]])
                low.append(unlike(real, pool.astype(np.float32)).low)
            held = sum(value <= share for value in low)
            print(f"| {name} | {share:.0%} | {held} of {DRAWS} | {np.median(low):.1%} | {min(low):.1%} | {max(low):.1%} |", flush=True)


if __name__ == "__main__":
    main()
