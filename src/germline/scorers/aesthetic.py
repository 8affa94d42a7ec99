"""LAION's aesthetic score, version 2: how pleasing an image is, whatever it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Float64, UInt8
from safetensors.numpy import load_file

from germline.core import foreign
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.pipelines.device import best, on
from germline.scorers.clip_score import clip
from germline.scorers.kept import Score, kept
from germline.scorers.library import only
from germline.scorers.towers import BATCH, Towers

LAYERS = (0, 2, 4, 6, 7)  # those between are dropouts
WIDTHS = (1024, 128, 64, 16, 1)


@dataclass(frozen=True)
class Aesthetic:
    """w . e + b of an image's unit vector e in OpenAI's CLIP ViT-L/14: 1 to 10, mostly 4.5 to 7, not clipped.

    The published head is five linear layers with nothing but dropouts between them, so it is one vector and one number; those are
    embedded. Being linear, it is easily over-optimised.

    Source: Schuhmann, "improved-aesthetic-predictor" (sac+logos+ava1-l14-linearMSE), Apache-2.0; used in LAION-5B, arXiv 2210.08402.

    Attributes:
        weights: a folder with OpenAI's CLIP ViT-L/14 as transformers saves it, openai/clip-vit-large-patch14.
        head: another head of the same layers, .pth or .safetensors; the published one when not given.
        precision: of the network; the rest is float32 and float64.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: there is no such folder, it holds another model, or the head does not fit it.
    """

    weights: Path
    head: Path | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    name: ClassVar[str] = "aesthetic_v2"
    preprocessing: ClassVar[str] = "A"

    def __post_init__(self) -> None:
        foreign.present(self.weights, "Aesthetic")

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one score a row."""
        return kept(self, pool, [""] * len(pool), ctx, self._opened, BATCH)

    @contextmanager
    def _opened(self) -> Iterator[Score]:
        towers, (weight, bias) = only(_towers, self), head(self.head)
        if (width := towers.clip.config.projection_dim) != len(weight):
            raise BadInput(f"Aesthetic: the head reads {len(weight)} numbers, but the CLIP in {self.weights} makes {width}; give ViT-L/14.")
        with on(best(), towers.model):

            def score(images: UInt8[np.ndarray, "b h w c"], _: list[str]) -> Float[np.ndarray, " b"]:
                found: np.ndarray = (towers.images(images).numpy().astype(np.float64) * weight).sum(axis=1) + bias
                return found

            yield score


def head(path: Path | None = None) -> tuple[Float64[np.ndarray, " d"], float]:
    """Return (w, b) of a head, the published one without a path.

    Raises:
        BadInput: there is no such file, or it does not hold five linear layers d-1024-128-64-16-1.
    """
    if path is None:
        return _embedded()
    tensors = foreign.large(path, "Aesthetic")
    return collapsed({name: tensor.double().numpy() for name, tensor in tensors.items()}, path)


def collapsed(arrays: Mapping[str, np.ndarray], where: Path) -> tuple[Float64[np.ndarray, " d"], float]:
    """Return (w, b) of a chain of linear layers: W5 (... (W1 e + b1) ...) + b5 = w . e + b.

    Raises:
        BadInput: the layers are not the published ones.
    """
    inner = arrays.get("layers.0.weight", np.zeros((0, 0))).shape[-1]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, out, before in zip(LAYERS, WIDTHS, (inner, *WIDTHS), strict=False):
        shapes |= {f"layers.{layer}.weight": (out, before), f"layers.{layer}.bias": (out,)}
    if odd := sorted(name for name in {*arrays, *shapes} if name not in arrays or arrays[name].shape != shapes.get(name)):
        raise BadInput(f"Aesthetic: {where} is no head of five linear layers d-1024-128-64-16-1: see {odd[0]}.")
    weight, bias = np.eye(inner), np.zeros(inner)
    for layer in LAYERS:
        matrix = np.asarray(arrays[f"layers.{layer}.weight"], np.float64)
        weight, bias = matrix @ weight, matrix @ bias + arrays[f"layers.{layer}.bias"]
    return weight[0], float(bias[0])


@lru_cache(maxsize=1)
def _embedded() -> tuple[Float64[np.ndarray, " d"], float]:
    with as_file(files("germline.scorers") / "embedded" / "aesthetic_v2.safetensors") as path:
        found = load_file(path)
    return found["weight"], float(found["bias"][0])


def _towers(scorer: Aesthetic) -> Towers:
    return clip("Aesthetic", scorer.weights, scorer.precision, "quick_gelu")
