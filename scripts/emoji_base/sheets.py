"""Curves and sheets of pictures, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

LARGE, GAP, HEAD = 64, 6, 16  # pixels of a picture, between two, and of a line of text


def curves(file: Path, logs: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Draw each stage's log: every number over minutes of processor time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [(stage, name) for stage, log in logs.items() if log for name in log[-1] if name not in ("step", "seconds")]
    figure, axes = pyplot.subplots(1, max(1, len(panels)), figsize=(3.2 * max(1, len(panels)), 2.8), squeeze=False)
    for axis, (stage, name) in zip(axes[0], panels, strict=False):
        axis.plot([entry["seconds"] / 60 for entry in logs[stage]], [entry[name] for entry in logs[stage]])
        axis.set_title(f"{stage}: {name}", fontsize=9)
        axis.set_xlabel("minutes", fontsize=8)
        axis.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(file, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def sheet(file: Path, columns: Sequence[str], lines: Sequence[tuple[str, Sequence[UInt8[np.ndarray, "h w 3"]]]], abreast: int = 2) -> None:
    """Write rows of pictures, each row under its caption, ``abreast`` rows side by side; the names of the columns stand on top."""
    font = ImageFont.load_default(11)
    wide, high = len(columns) * (LARGE + GAP) + 4 * GAP, LARGE + HEAD + GAP
    rows = -(-len(lines) // abreast)
    page = Image.new("RGB", (abreast * wide, HEAD + rows * high + GAP), "white")
    draw = ImageDraw.Draw(page)
    for block in range(abreast):
        for place, name in enumerate(columns):
            draw.text((block * wide + GAP + place * (LARGE + GAP), 1), name, "grey", font)
    for number, (caption, pictures) in enumerate(lines):
        left, top = (number // rows) * wide + GAP, HEAD + (number % rows) * high
        draw.text((left, top), caption[:60], "black", font)
        for place, picture in enumerate(pictures):
            large = Image.fromarray(picture).resize((LARGE, LARGE), Image.Resampling.NEAREST)
            page.paste(large, (left + place * (LARGE + GAP), top + HEAD))
    page.save(file, optimize=True)
