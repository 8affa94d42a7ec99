"""HPS v2 and v2.1: which of several images of one prompt people prefer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64

from germline.core import digest, foreign
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.scorers.images import Resize, padded
from germline.scorers.kept import kept
from germline.scorers.library import only
from germline.scorers.open_clip import Sizes, opened
from germline.scorers.prompts import Captions, cleaned, told
from germline.scorers.towers import BATCH, Towers, by_cosines
from germline.scorers.words import tokenizer


@dataclass(frozen=True)
class HPS:
    """The cosine of image and prompt in a ViT-H/14 that was tuned on people's choices, about 0.2 to 0.35; tables print it times 100.

    It compares images of the **same prompt**. Releases v2 and v2.1 are two sets of weights of one network and are not comparable.
    The whole image is seen, with zeros around it. How tensors were resized changed with torchvision 0.17, so scores of the two ways
    differ; why published tables are not reproduced to the digit is not known.

    Source: Wu et al., "Human Preference Score v2", arXiv 2306.09341.

    Attributes:
        weights: HPS_v2_compressed.pt or HPS_v2.1_compressed.pt of xswu/HPSv2.
        tokenizer: a folder with CLIP's tokenizer (any CLIP's of 49,408 words); beside the weights when not given.
        release: which weights these are: only the file's name may tell.
        resize: "antialias", as with torchvision 0.17 and later, or "legacy", as before.
        template: how a class reads, "a photo of {class}".
        precision: of the network; the cosine is float32.
        checksum: the sha256 that the weights must have.
        sizes: of the network, where it is not the published one.

    Raises:
        MissingExtra: transformers or ftfy is not installed.
        BadInput: there is no such file, its name is that of the other release, it holds another network, or conditions are classes and
            there is no template.
    """

    weights: Path
    tokenizer: Path | None = None
    release: Literal["v2", "v2.1"] = "v2.1"
    resize: Resize = "antialias"
    template: str | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    checksum: str | None = None
    sizes: Sizes = field(default_factory=Sizes)
    captions: ClassVar[Captions] = "read"

    def __post_init__(self) -> None:
        foreign.present(self.weights, "HPS")
        told = re.search(r"hps[_-]?v2([._]?1)?(?!\d)", self.weights.name.lower())
        if told and (named := "v2.1" if told[1] else "v2") != self.release:
            raise BadInput(
                f"HPS: {self.weights} is called a file of {named}, but is given for {self.release}, and the two are not comparable;"
                f" write hps_{named}:{self.weights}, or give a file of {self.release}."
            )

    @property
    def name(self) -> str:
        """Either "hps_v2" or "hps_v2.1"."""
        return f"hps_{self.release}"

    @property
    def preprocessing(self) -> str:
        """How images are brought to the network's size."""
        return f"B, {self.resize}"

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one cosine a row."""
        return kept(self, pool, told("HPS", pool, ctx, self.template), ctx, lambda: by_cosines(only(_towers, self)), BATCH)


def _towers(scorer: HPS) -> Towers:
    where = scorer.tokenizer or scorer.weights.parent
    words = tokenizer("HPS", "CLIPTokenizer", where, "<|endoftext|>", scorer.sizes.vocabulary, _vocabulary(where))
    model = opened("HPS", scorer.weights, scorer.sizes, scorer.precision, scorer.checksum)
    prepare = partial(padded, size=scorer.sizes.image, resize=scorer.resize)
    return Towers("HPS", model, prepare, scorer.precision, words, cleaned)


def _vocabulary(folder: Path) -> str:
    """Return the hash of a tokenizer's files, without the gigabytes that may lie beside them."""
    return digest.of_json({path.name: digest.of_path(path) for path in sorted(folder.glob("*")) if path.suffix in (".json", ".txt")})
