"""CLIP score: does an image show what its prompt says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, cast

import numpy as np
from jaxtyping import Float64

from germline.core import digest, foreign
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.scorers.images import cropped
from germline.scorers.kept import kept
from germline.scorers.library import from_folder, only
from germline.scorers.prompts import Captions, cleaned, told
from germline.scorers.towers import BATCH, Clip, Towers, by_cosines
from germline.scorers.words import tokenizer


@dataclass(frozen=True)
class ClipScore:
    """The cosine of image and prompt in CLIP, about 0.15 to 0.35 for ViT-L/14; elsewhere times 100 or 2.5, and clipped at 0.

    Of prompts longer than 77 tokens the rest is not read. Images are cropped to their central square.

    Source: Hessel et al., "CLIPScore", arXiv 2104.08718, without its factor and clipping; Radford et al., arXiv 2103.00020.

    Attributes:
        weights: a folder with a CLIPModel of transformers and its tokenizer, such as openai/clip-vit-large-patch14.
        template: how a class reads, "a photo of {class}"; prompts are taken as they are.
        precision: of the network; the cosine is float32.
        activation: which one the network must have: "quick_gelu" is OpenAI's, "gelu" that of most others.
        name: of the column.

    Raises:
        MissingExtra: transformers or ftfy is not installed.
        BadInput: there is no such folder, it holds another model, or conditions are classes and there is no template.
    """

    weights: Path
    template: str | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    name: str = "clip"
    preprocessing: ClassVar[str] = "A"
    captions: ClassVar[Captions] = "read"

    def __post_init__(self) -> None:
        foreign.present(self.weights, "ClipScore")

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one cosine a row."""
        return kept(self, pool, told("ClipScore", pool, ctx, self.template), ctx, lambda: by_cosines(only(_towers, self)), BATCH)


def _towers(scorer: ClipScore) -> Towers:
    made = clip("ClipScore", scorer.weights, scorer.precision, scorer.activation)
    words = tokenizer(
        "ClipScore",
        "CLIPTokenizer",
        scorer.weights,
        "<|endoftext|>",
        made.clip.config.text_config.vocab_size,
        digest.of_path(scorer.weights),
    )
    return Towers(made.who, made.model, made.prepare, made.precision, words, cleaned)


def clip(who: str, folder: Path, precision: str, activation: str, halves: Literal["even", "down"] = "even") -> Towers:
    """Return the image side of a CLIPModel in a folder.

    Raises:
        BadInput: it has another activation: with the wrong one, scores come out that look right and are not.
    """
    model = from_folder(who, "CLIPModel", folder, precision)
    config = cast(Clip, model).config
    if {config.text_config.hidden_act, config.vision_config.hidden_act} != {activation}:
        raise BadInput(
            f"{who}: the model in {folder} computes with {config.vision_config.hidden_act}, but should with {activation};"
            " name the folder of this scorer's own CLIP."
        )
    return Towers(who, model, partial(cropped, size=config.vision_config.image_size, halves=halves), precision)
