"""The made share of `audit --pool`: does its interval hold the planted share of a generator that the classifier has not seen?

    python benchmarks/audit_share.py [OUT]                 # embedded Fashion-MNIST; share_generators.py makes what OUT lacks
    germline study redifine-emoji --generations 5 --out EMOJI
    python benchmarks/audit_share.py [OUT] --emoji EMOJI   # the shipped text-to-image model in a chain, as a second domain

Each draw is a pool of fresh real rows and made ones of one generator. Four generators are known; the others were never used to choose the
rule. A second table leaves each of five networks out in turn, the rest being known; a third one counts rows with the grid of a JPEG, and
the pools of which it says so. Prints Markdown tables; draws lie in OUT/*.json, so the same command goes on where it was killed.
"""

import argparse
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import median_filter
from share_generators import OUT, make

from germline.audit.jpeg_grid import MARKED, compressed_otherwise, deviations
from germline.audit.made_share import Detector
from germline.audit.share import unlike
from germline.audit.traces import traces
from germline.core.atomic import write_bytes
from germline.core.seeds import rng
from germline.data import emoji, fashion_mnist

DRAWS, SHARES = 50, (0.0, 0.01, 0.05, 0.1, 0.5)
FASHION = (("unet", "unet-unguided", "narrow-edm", "eps-ancestral"), ("mlp", "redifine", "neon", "replace-2"))
APART = ("unet", "narrow-edm", "eps-ancestral", "mlp", "redifine")  # networks that share no weights
EMOJI = (
    ("constant-1 gen 0", "constant-2 gen 0", "drop-2 gen 0", "schedule-2 gen 0"),
    ("constant-1 gen 5", "constant-2 gen 5", "both-2 gen 5"),
)


def of_images(images, name, out, what=traces):
    """Return the traces (or the deviations of the grid) of images, kept in OUT/traces."""
    path = out / what.__name__ / f"{name.replace(' ', '-')}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        found = np.concatenate([what(images[start : start + 250]) for start in range(0, len(images), 250)])
        np.save(path, found.astype(np.float32))
    return np.load(path)


def fashion(out):
    """Return known real rows, fresh ones, and rows of every generator: traces all."""
    data = fashion_mnist()
    real, fresh = data.judge.images[:], np.concatenate([data.reserve.images[:], data.held_out.images[:]])
    made = {name: make(name, out, data) for name in (*FASHION[0], *FASHION[1])}
    made |= {"gaussian": gaussian(real), **hidden(made["unet"])}
    return tabled(real, fresh, made, out, "fashion")


def emojis(runs, out):
    """Return the same of emoji: the rows of every seed of an arm and a generation."""
    data = emoji()
    real = np.concatenate([data.judge.images[:], data.reserve.images[:]])
    fresh = np.concatenate([data.held_out.images[:], data.real.images[:]])  # the chains were tuned on the latter
    made = {}
    for name in (*EMOJI[0], *EMOJI[1]):
        arm, _, number = name.split()
        found = sorted(runs.glob(f"{arm}-seed*/gen_{int(number):03d}/samples.npy")) or [runs / arm / f"gen_{int(number):03d}/samples.npy"]
        if found[0].exists():
            made[name] = np.concatenate([np.load(path) for path in found])
    return tabled(real, fresh, made, out, "emoji")


def tabled(real, fresh, made, out, data):
    """Return traces of real rows, of fresh ones, of fresh ones in a JPEG, and of generators; print which bear a JPEG's grid."""
    grids(real, fresh, made, out, data)
    own = {name: of_images(images, f"{data} {name}", out) for name, images in made.items()}
    return *(of_images(x, f"{data} {n}", out) for x, n in ((real, "real"), (fresh, "fresh"), (jpeg(fresh), "fresh jpeg"))), own


def grids(real, fresh, made, out, data, size=1_000):
    """Print how many rows bear the grid of a JPEG, and of how many pools, half of them such rows, `audit --pool` would say so."""
    again = {f"real rows in JPEG {quality}": jpeg(fresh, quality) for quality in (98, 95, 90, 75)}
    own = {
        name: of_images(images, f"{data} {name}", out, deviations)
        for name, images in {"real": real, "fresh": fresh, **again, **made}.items()
    }
    print(f"\n{data}: the grid of a JPEG\n\n| rows | bear it | pools that differ, of {DRAWS} |\n|---|---|---|")
    for name, found in own.items():
        differ = 0
        for draw in range(DRAWS):
            chance = rng(0, -1, f"grid {name}", draw)
            parts = [chance.choice(rows, min(size // 2, len(rows)), replace=False) for rows in (own["fresh"], found)]
            known = chance.choice(own["real"], min(size, len(own["real"])), replace=False)
            differ += bool(compressed_otherwise(np.concatenate(parts), known))
        print(f"| {name} ({len(found):,}) | {(found > MARKED).mean():.1%} | {differ} |", flush=True)


def gaussian(images):
    """Return 800 draws of the Gaussian with the moments of the images' 64 principal components: no diffusion model."""
    flat = images.reshape(len(images), -1) / 255
    middle = flat.mean(0)
    _, values, axes = np.linalg.svd(flat - middle, full_matrices=False)
    drawn = rng(0, -1, "gaussian").normal(size=(800, 64)) * values[:64] / np.sqrt(len(flat) - 1) @ axes[:64] + middle
    return np.rint(255 * drawn.clip(0, 1)).astype(np.uint8).reshape(800, *images.shape[1:])


def hidden(images):
    """Return made images whose traces someone blurs, on purpose or not: nothing of the kind is among the known ones."""
    noise = rng(0, -1, "noise").normal(scale=3, size=images.shape)
    return {
        "unet, JPEG 90": jpeg(images),
        "unet, median of 3 x 3": median_filter(images, (1, 3, 3, 1)),
        "unet, dark pixels made black": np.where(images < 16, 0, images).astype(np.uint8),
        "unet, noise of 3 levels": np.rint((images + noise).clip(0, 255)).astype(np.uint8),
    }


def jpeg(images, quality=90):
    """Return images that went through a JPEG: real rows of another source."""
    out = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "jpeg", quality=quality)
        out.append(np.asarray(Image.open(file)).reshape(image.shape))
    return np.stack(out)


def draws(path, key, detector, real, fresh, rows, share, size):
    """Return the answers of a cell, one a draw, read from ``path`` where they are known."""
    known = json.loads(path.read_text()) if path.exists() else {}
    if key not in known:
        known[key] = []
        for draw in range(DRAWS):
            chance, count = rng(0, -1, f"pool {key}", draw), round(share * size)
            taken = fresh[chance.choice(len(fresh), size - count, replace=False)]
            pool = np.concatenate([taken, rows[chance.choice(len(rows), count, replace=False)]])
            told = detector.share(pool)
            known[key].append([told.low, told.high, told.estimate, told.why, float(unlike(real, pool).low), told.limit])
        write_bytes(path, json.dumps(known).encode())
    return known[key]


def line(name, share, answers):
    """Return a row of the table."""
    told = [one for one in answers if not one[3]]
    covered = sum(low <= share <= high for low, high, *_ in told)
    ends = f"{np.median([one[0] for one in told]):.1%} to {np.median([one[1] for one in told]):.1%}" if told else ""
    guess = f"{np.median([one[2] for one in told]):.1%}" if told else ""
    bound = [one[4] for one in answers]
    below = sum(one[0] <= share for one in answers)
    cells = (f"{share:.0%}", covered, len(answers) - len(told), len(told) - covered, ends, guess, f"{below} of {len(answers)}")
    return f"| {name} | " + " | ".join(map(str, cells)) + f" | {np.median(bound):.1%} ({sum(b <= share for b in bound)} of {len(bound)}) |"


HEAD = (
    "| generator | share | covered | cannot tell | neither | interval: median ends | estimate | low end holds | bound without made rows |"
)


def measure(data, loaded, split, size, out, apart=()):
    """Print the table of a domain, and that of the generators ``apart``, each left out in turn."""
    real, fresh, other, made = loaded
    known = {name: made[name] for name in split[0] if name in made}
    detector = Detector.of(real, known)
    seen = ", ".join(f"{one.name} {one.visibility:.2f}" for one in detector.seen)
    print(f"\n{data}: known are (visibility) {seen}; mean, and least reckoned with: {detector.visibilities}")
    print(f"pools of {size} rows, {len(real):,} real rows, {DRAWS} draws a cell\n\n{HEAD}\n|{'---|' * 9}")
    for name in [*(name for name in made if name not in known), *known]:
        title = f"{name} (known)" if name in known else name
        for share in SHARES:
            print(
                line(title, share, draws(out / f"{data}.json", f"{name} {share}", detector, real, fresh, made[name], share, size)),
                flush=True,
            )
    mixed = np.concatenate([fresh[::2], other[1::2]])
    for title, taken in (("real rows in JPEG 90", other), ("half of the real rows in JPEG 90", mixed)):
        for share in (0.0, 0.1):
            found = draws(out / f"{data}.json", f"{title} {share}", detector, real, taken, made[split[0][0]], share, size)
            print(line(title, share, found), flush=True)
    if not apart:
        return
    print(f"\n{data}: each left out in turn, the {len(apart) - 1} others known\n\n{HEAD}\n|{'---|' * 9}")
    for name in apart:
        rest = Detector.of(real, {one: made[one] for one in apart if one != name})
        for share in (0.01, 0.1, 0.5):
            print(
                line(name, share, draws(out / f"{data}-rest.json", f"{name} {share}", rest, real, fresh, made[name], share, size)),
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=OUT)
    parser.add_argument("--emoji", type=Path)
    given = parser.parse_args()
    (given.out / "runs").mkdir(parents=True, exist_ok=True)
    if given.emoji:
        measure("emoji", emojis(given.emoji, given.out), EMOJI, 400, given.out)
    else:
        measure("fashion", fashion(given.out), FASHION, 1_000, given.out, APART)


if __name__ == "__main__":
    main()
