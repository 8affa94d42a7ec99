"""A trainer and a sampler that know nothing of germline: principal components and a Gaussian for each class, numpy alone.

python foreign_trainer.py train DATA.npz OUT          writes OUT/model.npz
python foreign_trainer.py sample MODEL OUT ROWS.csv   writes OUT/images.npz, or OUT/ROW.png with --png
"""

import csv
import sys
from pathlib import Path

import numpy as np

DIMS = 16


def train(data: Path, out: Path) -> None:
    """Fit mean, directions and standard deviations of every class."""
    given = np.load(data)
    x, labels, classes = given["images"].astype(float), given["labels"], len(given["classes"])
    flat = x.reshape(len(x), -1)
    model = {"shape": np.array(x.shape[1:])}
    for label in range(classes):
        rows = flat[labels == label] if (labels == label).sum() > 1 else flat  # a lost class falls back on all rows
        _, scale, directions = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
        model |= {f"mean{label}": rows.mean(0), f"scale{label}": scale[:DIMS] / len(rows) ** 0.5, f"directions{label}": directions[:DIMS]}
    np.savez(out / "model.npz", **model)
    print(f"trained on {len(x)} images of {classes} classes")


def sample(model: Path, out: Path, rows: Path, png: bool) -> None:
    """Draw an image for each row that is asked for, from the row's own seed."""
    m, images = np.load(model / "model.npz"), []
    for row in csv.DictReader(rows.open()):
        label, noise = row["label"], np.random.default_rng(int(row["seed"]))
        scale = m[f"scale{label}"]
        flat = m[f"mean{label}"] + (noise.normal(size=len(scale)) * scale) @ m[f"directions{label}"]
        images.append(np.clip(flat.round(), 0, 255).astype(np.uint8).reshape(m["shape"]))
    if not png:
        return np.savez(out / "images.npz", images=np.stack(images))
    from PIL import Image

    for number, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(out / f"{number}.png")


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    train(Path(paths[0]), Path(paths[1])) if what == "train" else sample(*map(Path, paths[:3]), png="--png" in paths)
