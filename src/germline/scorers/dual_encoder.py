"""Whether a picture of an emoji is what its caption says, by an encoder that is small enough to be shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from germline.core.atomic import replacing
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.scorers.convolutions import Layer, prepared, read_off
from germline.scorers.hashed_words import vectors
from germline.scorers.kept import Score, kept
from germline.scorers.prompts import Captions, told

EMBEDDED = Path(__file__).parent / "embedded"
WORDS = EMBEDDED / "emoji_words.safetensors"
BATCH = 32


@dataclass(frozen=True)
class DualEncoder:
    """The cosine of picture and caption in a CLIP-style dual encoder of emoji, 32 pixels a side; it is not CLIP, and knows emoji alone.

    Its pictures' side was trained on emoji that the shipped text-to-image model never saw: frozen convolutions of AlexNet and a small
    head. Its texts' side was taught to say what all-MiniLM-L6-v2 says. How often it finds the right caption stands in its card,
    ``scorers/embedded/README.md``: far from always, so compare means over many rows, not rows.

    ``held_out``: the second one, for evaluation alone: other convolutions (EfficientNet-Lite0's), other rows, another seed. What
    was chosen by the first rises by the first whether or not pictures become better; if it rises by the second too, they did.

    Source: symmetric InfoNCE as in Radford et al., arXiv 2103.00020; networks and training are ours.

    Raises:
        BadInput: conditions are classes and there is no ``template``.
    """

    held_out: bool = False
    template: str | None = None
    version: ClassVar[int] = 1
    captions: ClassVar[Captions] = "read"

    @property
    def name(self) -> str:
        """Of the column."""
        return "dual_encoder_held_out" if self.held_out else "dual_encoder"

    @property
    def pictures(self) -> Path:
        """The file with the pictures' side."""
        return EMBEDDED / f"emoji_pictures{'_held_out' if self.held_out else ''}.safetensors"

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one cosine a row."""
        return kept(self, pool, told("DualEncoder", pool, ctx, self.template), ctx, self._opened, BATCH)

    @contextmanager
    def _opened(self) -> Iterator[Score]:
        side, words = opened(self.pictures), opened_words(WORDS)

        def score(images: UInt8[np.ndarray, "b h w c"], prompts: list[str]) -> Float32[np.ndarray, " b"]:
            with torch.inference_mode():
                found: np.ndarray = (side(images) * vectors(prompts, words)).sum(1).numpy()
            return found

        yield score


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures' side: convolutions, their readings standardised, two layers."""

    size: int
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    layers: tuple[Layer, ...]
    trunk: Mapping[str, Tensor]
    head: Mapping[str, Tensor]

    def features(self, images: UInt8[np.ndarray, "n h w c"]) -> Float32[Tensor, "n f"]:
        """Return what is read of the convolutions, not standardised."""
        with torch.inference_mode():
            parts = [
                read_off(
                    prepared(np.ascontiguousarray(images[start : start + BATCH]), self.size, self.shift, self.scale),
                    self.layers,
                    self.trunk,
                )
                for start in range(0, len(images), BATCH)
            ]
            return torch.cat(parts).clone()

    def project(self, features: Float32[Tensor, "n f"]) -> Float32[Tensor, "n d"]:
        """Return unit vectors of what ``features`` read."""
        x = (features - self.head["mean"]) / self.head["std"]
        inner = functional.gelu(functional.linear(x, self.head["first.weight"], self.head["first.bias"]))
        return functional.normalize(functional.linear(inner, self.head["last.weight"], self.head["last.bias"]), dim=-1)

    def __call__(self, images: UInt8[np.ndarray, "n h w c"]) -> Float32[Tensor, "n d"]:
        """Return a unit vector a picture."""
        return self.project(self.features(images))

    def save(self, file: Path) -> None:
        """Write everything in half precision, but for the moments."""
        tensors = {f"trunk.{name}": value.half() for name, value in self.trunk.items()}
        tensors |= {f"head.{name}": value if name in ("mean", "std") else value.half() for name, value in self.head.items()}
        about = {"size": self.size, "shift": self.shift, "scale": self.scale, "layers": [asdict(layer) for layer in self.layers]}
        with replacing(file) as temporary:
            save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, {"germline": json.dumps(about)})


@lru_cache(maxsize=2)
def opened(file: Path) -> Pictures:
    """Return the pictures' side in a file that ``save`` wrote.

    Raises:
        BadInput: it is no such file.
    """
    try:
        with safe_open(file, "pt") as inside:
            about = json.loads(inside.metadata()["germline"])
            tensors = {name: inside.get_tensor(name).float() for name in inside.keys()}  # noqa: SIM118
        layers = tuple(_layer(layer) for layer in about["layers"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"DualEncoder: {file} is no encoder of pictures ({type(error).__name__}: {error}); install germline again."
        ) from error
    trunk, head = ({name.split(".", 1)[1]: value for name, value in tensors.items() if name.startswith(part)} for part in ("trunk", "head"))
    return Pictures(about["size"], tuple(about["shift"]), tuple(about["scale"]), layers, trunk, head)


@lru_cache(maxsize=1)
def opened_words(file: Path) -> Mapping[str, Tensor]:
    """Return the texts' side."""
    with safe_open(file, "pt") as inside:
        return {name: inside.get_tensor(name).float() for name in inside.keys()}  # noqa: SIM118


def _layer(about: dict[str, Any]) -> Layer:
    left, right, above, below = about.pop("padding")
    read: Sequence[Any] = about.pop("read")
    return Layer(padding=(left, right, above, below), read=tuple((what, side) for what, side in read), **about)
