"""The pictures and captions that the base model is trained on, and how they are varied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from germline.core.seeds import rng
from germline.data.emoji import split_of, tagged
from germline.data.emoji_files import Caption, Drawn, load

SIDE = 32
TRAINED = ("real", "reserve")  # the splits of the base model; "judge" is the dual encoder's, "held_out" nobody's
MARGIN = 8  # white pixels around a picture of 64, so that it can be moved


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures with what is told of each: ``images[v]`` is variation v of all of them, and 0 is none."""

    images: UInt8[np.ndarray, "v n 32 32 3"]
    styles: tuple[str, ...]
    captions: tuple[Caption, ...]

    def __len__(self) -> int:
        return len(self.styles)


def rows(styles: tuple[str, ...], where: Path | None, parts: tuple[str, ...], variations: int = 1, most: int | None = None) -> Rows:
    """Return the pictures of some styles in some splits; from the packages in ``where`` at 64 pixels, else those that lie in germline."""
    drawn = load(styles, 64 if where else SIDE, where)
    chosen = [row for row, code in enumerate(drawn.hexcodes) if split_of(code) in parts][:most]
    images = np.stack([np.stack([varied(drawn, row, number) for row in chosen]) for number in range(variations)])
    return Rows(images, tuple(drawn.styles[row] for row in chosen), tuple(drawn.captions[row] for row in chosen))


def varied(drawn: Drawn, row: int, number: int) -> UInt8[np.ndarray, "32 32 3"]:
    """Return a picture at 32 pixels; if ``number`` is not 0, moved by up to 1.5 pixels and 0.92 to 1.06 times as large.

    Never flipped: arrows, letters and clocks would say something else.
    """
    picture = drawn.images[row]
    side = len(picture)
    room = MARGIN * side // 64
    wide = Image.fromarray(np.pad(picture, ((room, room), (room, room), (0, 0)), constant_values=255))
    scale, right, down = 1.0, 0.0, 0.0
    if number:
        draw = rng(0, 0, f"vary/{drawn.styles[row]}/{drawn.hexcodes[row]}", number)
        scale = draw.uniform(0.92, 1.06)
        right, down = draw.uniform(-1.5, 1.5, 2) * side / SIDE
    half = side / scale / 2
    middle = side / 2 + room
    box = (middle + right - half, middle + down - half, middle + right + half, middle + down + half)
    limit = side + 2 * room
    inside = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], limit), min(box[3], limit))
    return np.asarray(wide.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=inside))


def told(captions: Caption, style: str, draw: np.random.Generator) -> str:
    """Return one of the three forms of a caption: half the time the label, else styled or tagged."""
    form = draw.random()
    if form < 0.5:
        return captions.label
    return f"{style} emoji of {captions.label}" if form < 0.75 else tagged(captions, draw)


def tensor(images: UInt8[np.ndarray, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
    """Return pictures in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def array(x: Float[Tensor, "n 3 h w"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Return tensors in [-1, 1] as pictures."""
    found: np.ndarray = ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return found


def psnr(one: UInt8[np.ndarray, "n h w 3"], other: UInt8[np.ndarray, "n h w 3"]) -> float:
    """Return the peak signal-to-noise ratio in dB, of each picture, then averaged."""
    square = ((one.astype(np.float64) - other.astype(np.float64)) ** 2).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / np.maximum(square, 1e-9))).mean())
