"""A CLIP network at work: unit vectors of images and of prompts, in float32 whatever the network computes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

from germline.core.errors import BadInput
from germline.pipelines.device import best, on
from germline.scorers.kept import Score
from germline.scorers.library import TYPES
from germline.scorers.words import Tokens, tokens

BATCH = 16  # always that many rows at once, the last one repeated: with fewer, products are done in another order and bits differ
LENGTH = 77


class Projected(Protocol):
    """What transformers returns of a tower."""

    pooler_output: Tensor


class TextConfig(Protocol):
    """What is read of a text tower's configuration."""

    vocab_size: int
    max_position_embeddings: int
    eos_token_id: int
    hidden_act: str


class VisionConfig(Protocol):
    """What is read of an image tower's configuration."""

    image_size: int
    hidden_act: str


class Config(Protocol):
    """What is read of a CLIPModel's configuration."""

    text_config: TextConfig
    vision_config: VisionConfig
    projection_dim: int


class Clip(Protocol):
    """A CLIPModel, which is a module too."""

    config: Config
    logit_scale: Tensor

    def get_image_features(self, *, pixel_values: Tensor) -> Projected:
        """Return projected image vectors."""
        ...

    def get_text_features(self, *, input_ids: Tensor, attention_mask: Tensor) -> Projected:
        """Return projected text vectors."""
        ...


@dataclass(frozen=True, eq=False)
class Towers:
    """A CLIPModel with its preparation of images and, where it reads prompts, its tokenizer. Prompts are read once each.

    Raises:
        BadInput: the model takes another token for the end than the tokenizer gives.
    """

    who: str
    model: nn.Module
    prepare: Callable[[UInt8[np.ndarray, "n h w c"]], Float32[Tensor, "n 3 s s"]]
    precision: str
    tokenizer: Tokens | None = None
    clean: Callable[[str], str] = str
    _read: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.tokenizer is None:
            return
        end, given = self.tokenizer.convert_tokens_to_ids("<|endoftext|>"), self.clip.config.text_config.eos_token_id
        if given not in (2, end):  # 2: files of before 2023, for which transformers takes the largest number, which is the end
            raise BadInput(f"{self.who}: the model ends a prompt with token {given}, but its tokenizer with {end}; they are of two models.")

    @property
    def clip(self) -> Clip:
        """The model by what is used of it."""
        return cast(Clip, self.model)

    def images(self, images: UInt8[np.ndarray, "n h w c"]) -> Float32[Tensor, "n d"]:
        """Return a unit vector an image."""
        with torch.inference_mode():
            x = self.prepare(images).to(best(), TYPES[self.precision])
            return unit(self.clip.get_image_features(pixel_values=x).pooler_output)

    def prompts(self, prompts: Sequence[str]) -> Float32[Tensor, "n d"]:
        """Return a unit vector a prompt."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._read]
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self._read.update(zip(part, self._told([*part, *part[-1:] * (BATCH - len(part))]), strict=False))
        return torch.stack([self._read[prompt] for prompt in prompts])

    def _told(self, prompts: list[str]) -> Float32[Tensor, "n d"]:
        assert self.tokenizer is not None
        length = min(LENGTH, self.clip.config.text_config.max_position_embeddings)
        ids, mask = tokens(self.tokenizer, [self.clean(prompt) for prompt in prompts], length)
        with torch.inference_mode():
            return unit(self.clip.get_text_features(input_ids=ids.to(best()), attention_mask=mask.to(best())).pooler_output)


def unit(x: Tensor) -> Float32[Tensor, "n d"]:
    """Return rows divided by their length, in float32: in half precision a cosine near 0.27 moves in steps of 0.00024 and makes ties."""
    return functional.normalize(x.float().cpu(), dim=-1)


def cosines(a: Float32[Tensor, "n d"], b: Float32[Tensor, "n d"]) -> Float32[Tensor, " n"]:
    """Return the cosine of each pair of unit rows."""
    out: Tensor = (a * b).sum(-1)
    return out


@contextmanager
def by_cosines(towers: Towers, scaled: bool = False) -> Iterator[Score]:
    """Yield what scores images by the cosine to their prompts, times exp(logit scale) if ``scaled``; the network is on the best device."""
    with on(best(), towers.model):
        scale = float(towers.clip.logit_scale.exp()) if scaled else 1.0

        def score(images: UInt8[np.ndarray, "b h w c"], prompts: list[str]) -> Float32[np.ndarray, " b"]:
            found: np.ndarray = (scale * cosines(towers.images(images), towers.prompts(prompts))).numpy()
            return found

        yield score
