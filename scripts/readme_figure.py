"""Draws the README's figure from a finished demo: python scripts/readme_figure.py runs/demo docs/demo.png."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from germline.chain import Chain
from germline.core.generation import Generation
from germline.data import fashion_mnist
from germline.measure import measured
from germline.report.pictures import mosaic

ARMS = ("replace", "accumulate-subsample", "entropy-greedy", "real-only")
ZOOM, GAP, LEFT, TOP = 2, 12, 150, 64


def cell(images: np.ndarray) -> Image.Image:
    """Return the first ten rows, one a class, in two lines."""
    canvas = mosaic(images[:10], 5, 1)[..., 0]
    return Image.fromarray(canvas).resize((canvas.shape[1] * ZOOM, canvas.shape[0] * ZOOM), Image.Resampling.NEAREST)


def distance(generation: Generation) -> str:
    """Return the Frechet distance of a generation's samples."""
    return next(f"FD {value.value:.0f}" for value in measured(generation) if value.name.startswith("FD-") and value.of == "samples")


def main(runs: Path, out: Path) -> None:
    """Draw arms by generations 0, 1, 3, 5, each cell with its Frechet distance."""
    columns = (0, 1, 3, 5)
    data = fashion_mnist()
    real = data.real.take(np.array([np.flatnonzero(data.real.condition == c)[0] for c in range(10)])).images[:]
    size = cell(real).size
    picture = Image.new("RGB", (LEFT + (len(columns) + 1) * (size[0] + GAP), TOP + len(ARMS) * (size[1] + 30)), "white")
    draw, font, small = ImageDraw.Draw(picture), ImageFont.load_default(20), ImageFont.load_default(16)
    draw.text((LEFT, 12), "real images", "black", font)
    for j, number in enumerate(columns):
        draw.text((LEFT + (j + 1) * (size[0] + GAP), 12), f"generation {number}", "black", font)
    for i, arm in enumerate(ARMS):
        y = TOP + i * (size[1] + 30)
        for k, word in enumerate(arm.split("-")):
            draw.text((8, y + 24 * k), word, "black", font)
        picture.paste(cell(real), (LEFT, y))
        for j, number in enumerate(columns):
            generation, x = Chain(runs / arm)[number], LEFT + (j + 1) * (size[0] + GAP)
            picture.paste(cell(generation.samples.images[:10]), (x, y))
            draw.text((x, y - 20), distance(generation), "dimgray", small)
    picture.save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
