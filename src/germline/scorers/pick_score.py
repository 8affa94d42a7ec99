"""PickScore: which image people would pick for a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64

from germline.core import digest, foreign
from germline.core.context import Context
from germline.core.pool import Pool
from germline.scorers.clip_score import clip
from germline.scorers.kept import kept
from germline.scorers.library import only
from germline.scorers.prompts import Captions, told
from germline.scorers.towers import BATCH, Towers, by_cosines
from germline.scorers.words import tokenizer


@dataclass(frozen=True)
class PickScore:
    """exp(logit scale) times the cosine of image and prompt in a ViT-H/14 that was tuned on people's picks, about 18 to 24.

    Prompts are tokenized as they are, not cleaned; of those longer than 77 tokens the rest is not read.

    Source: Kirstain et al., "Pick-a-Pic", arXiv 2305.01569.

    Attributes:
        weights: a folder with the CLIPModel, yuvalkirstain/PickScore_v1.
        tokenizer: a folder with the CLIP tokenizer, where it is not among the weights: laion/CLIP-ViT-H-14-laion2B-s32B-b79K.
        template: how a class reads, "a photo of {class}".
        precision: of the network; cosine and scale are float32.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: there is no such folder, it holds another model, or conditions are classes and there is no template.
    """

    weights: Path
    tokenizer: Path | None = None
    template: str | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    name: ClassVar[str] = "pickscore"
    preprocessing: ClassVar[str] = "A, halves down"  # as the image processor of transformers crops, which the authors used
    captions: ClassVar[Captions] = "read"

    def __post_init__(self) -> None:
        foreign.present(self.weights, "PickScore")

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one score a row."""
        return kept(
            self, pool, told("PickScore", pool, ctx, self.template), ctx, lambda: by_cosines(only(_towers, self), scaled=True), BATCH
        )


def _towers(scorer: PickScore) -> Towers:
    made = clip("PickScore", scorer.weights, scorer.precision, "gelu", "down")
    where, rows = scorer.tokenizer or scorer.weights, made.clip.config.text_config.vocab_size
    words = tokenizer("PickScore", "CLIPTokenizer", where, "<|endoftext|>", rows, digest.of_path(where))
    return Towers(made.who, made.model, made.prepare, made.precision, words)
