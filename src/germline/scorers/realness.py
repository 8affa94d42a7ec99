"""Whether a picture of an emoji looks drawn or made, by a detector that is small enough to be shipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.scorers.dual_encoder import BATCH, EMBEDDED, DualEncoder, opened
from germline.scorers.kept import Score, kept

HEAD = EMBEDDED / "emoji_realness.safetensors"
NAMES = ("bias", "mean", "std", "weight")


@dataclass(frozen=True)
class Realness:
    """The log-odds that a picture of an emoji, 32 pixels a side, is drawn by people rather than made by the shipped model; captions unread.

    A logistic regression on what the dual encoder reads of frozen convolutions. It knows the styles noto and twemoji, which the shipped
    model was trained on, and pictures that this model made: **of another generator's pictures it says little, and how little stands in its
    card**, ``scorers/embedded/README.md``. Noise passes for drawn. It is a detector to be studied as a scorer, no proof of origin. To
    choose by it trains a model against it: measure by another.

    Source: ours.
    """

    name: ClassVar[str] = "realness"
    version: ClassVar[int] = 1

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one log-odds a row; above 0 is real."""
        return kept(self, pool, [""] * len(pool), ctx, self._opened, BATCH)

    @contextmanager
    def _opened(self) -> Iterator[Score]:
        pictures, head = opened(DualEncoder().pictures), opened_head(HEAD)

        def score(images: UInt8[np.ndarray, "b h w c"], prompts: list[str]) -> Float32[np.ndarray, " b"]:
            with torch.inference_mode():
                found: np.ndarray = log_odds(pictures.features(images), head).numpy()
            return found

        yield score


def log_odds(features: Float32[Tensor, "n f"], head: Mapping[str, Tensor]) -> Float32[Tensor, " n"]:
    """Return the regression's log-odds: (features - mean) / std, times the weights, and the bias."""
    return (features - head["mean"]) / head["std"] @ head["weight"] + head["bias"]


@lru_cache(maxsize=1)
def opened_head(file: Path) -> Mapping[str, Tensor]:
    """Return the regression.

    Raises:
        BadInput: the file is missing or holds something else.
    """
    try:
        found = {name: value.float() for name, value in load_file(file).items()}
    except (OSError, SafetensorError) as error:
        raise BadInput(f"Realness: {file} cannot be read ({error}); install germline again.") from error
    if tuple(sorted(found)) != NAMES:
        raise BadInput(f"Realness: {file} should hold {', '.join(NAMES)}, but holds {', '.join(sorted(found))}; install germline again.")
    return found
