"""What a network of the CLIP family sees of an image: two ways of bringing images to its size, A and B."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of CLIP
Resize = Literal["antialias", "legacy"]


def cropped(images: UInt8[np.ndarray, "n h w c"], size: int, halves: Literal["even", "down"] = "even") -> Float32[Tensor, "n 3 s s"]:
    """Return mode A: the short edge to ``size`` (bicubic, 8 bits, Pillow), the central square, CLIP's mean and deviation.

    The long edge is rounded down. Where an odd number of pixels is cut off, the square begins at the half rounded to ``even``, as in
    OpenAI's and BLIP's code (torchvision), or ``down``, as in the image processors of transformers: one pixel apart.
    """
    out = []
    for image in colour(images):
        height, width = image.shape[:2]
        short = min(height, width)
        # Pillow's size is (width, height)
        shape = (size, size * height // width) if width == short else (size * width // height, size)
        x = np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BICUBIC)) if min(image.shape[:2]) != size else image
        top, left = ((side - size) // 2 if halves == "down" else round((side - size) / 2) for side in x.shape[:2])
        out.append(x[top : top + size, left : left + size])
    return _normal(torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).float() / 255)


def padded(images: UInt8[np.ndarray, "n h w c"], size: int, resize: Resize = "antialias") -> Float32[Tensor, "n 3 s s"]:
    """Return mode B: the long edge to ``size`` (bicubic, on floats, not clamped), zeros around, CLIP's mean and deviation.

    "antialias" widens the kernel by the scale, as torchvision does with tensors since 0.17; "legacy" does not, as before.

    Source: the code of Wu et al., "Human Preference Score v2", arXiv 2306.09341.
    """
    x = torch.from_numpy(colour(images)).permute(0, 3, 1, 2).float() / 255
    height, width = x.shape[2:]
    if max(height, width) != size:
        scale = size / max(height, width)
        x = functional.interpolate(
            x, (round(height * scale), round(width * scale)), mode="bicubic", align_corners=False, antialias=resize == "antialias"
        )
    below, right = size - x.shape[2], size - x.shape[3]
    return _normal(functional.pad(x, (right // 2, right - right // 2, below // 2, below - below // 2)))


def colour(images: UInt8[np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Return images with three channels; grey is three equal ones."""
    return np.array(np.broadcast_to(images, (*images.shape[:3], 3)))


def _normal(x: Tensor) -> Float32[Tensor, "n 3 s s"]:
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
