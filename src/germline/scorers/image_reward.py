"""ImageReward: a person's rating of an image for a prompt, by a network that reads both together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8

from germline.core import digest, foreign
from germline.core.context import Context
from germline.core.pool import Pool
from germline.pipelines.device import best, on
from germline.scorers.blip import Reward, Sizes, opened
from germline.scorers.images import cropped
from germline.scorers.kept import Score, kept
from germline.scorers.library import TYPES, only
from germline.scorers.prompts import Captions, told
from germline.scorers.words import Tokens, tokenizer, tokens

LENGTH, BATCH = 35, 16
MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072  # of the rewards of the authors' validation set


@dataclass(frozen=True)
class ImageReward:
    """(r - 0.167) / 1.033 of a reward r that BLIP gives to image and prompt together: about -2.3 to 2.

    Of prompts longer than 35 tokens the rest is not read. The first token stays [CLS]; BLIP's [ENC] is not put in its place.

    Source: Xu et al., "ImageReward", arXiv 2304.05977, and its code for the two numbers, the length and the token.

    Attributes:
        weights: ImageReward.pt of THUDM/ImageReward.
        tokenizer: a folder with the tokenizer of bert-base-uncased (vocab.txt); beside the weights when not given.
        template: how a class reads, "a photo of {class}".
        precision: of image and text encoder; the head is float32.
        checksum: the sha256 that the weights must have.
        sizes: of the network, where it is not the published one.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: there is no such file, it holds another network, or conditions are classes and there is no template.
    """

    weights: Path
    tokenizer: Path | None = None
    template: str | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    checksum: str | None = None
    sizes: Sizes = field(default_factory=Sizes)
    name: ClassVar[str] = "imagereward"
    preprocessing: ClassVar[str] = "A"
    captions: ClassVar[Captions] = "read"

    def __post_init__(self) -> None:
        foreign.present(self.weights, "ImageReward")

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one reward a row."""
        return kept(self, pool, told("ImageReward", pool, ctx, self.template), ctx, self._opened, BATCH)

    @contextmanager
    def _opened(self) -> Iterator[Score]:
        network, words = only(_network, self)
        with on(best(), network):

            def score(images: UInt8[np.ndarray, "b h w c"], prompts: list[str]) -> Float[np.ndarray, " b"]:
                ids, mask = tokens(words, prompts, LENGTH)
                with torch.inference_mode():
                    x = cropped(images, self.sizes.image).to(best(), TYPES[self.precision])
                    raw = network(x, ids.to(best()), mask.to(best())).cpu().double()
                found: np.ndarray = ((raw - MEAN) / DEVIATION).numpy()
                return found

            yield score


def _network(scorer: ImageReward) -> tuple[Reward, Tokens]:
    where = scorer.tokenizer or scorer.weights.parent
    content = digest.of_json({path.name: digest.of_path(path) for path in sorted(where.glob("*")) if path.suffix in (".json", ".txt")})
    words = tokenizer("ImageReward", "BertTokenizer", where, "[SEP]", scorer.sizes.vocabulary, content)
    return opened("ImageReward", scorer.weights, scorer.sizes, scorer.precision, scorer.checksum), words
