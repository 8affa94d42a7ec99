"""Whether the safety checker that came with a pipeline lets an image pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from germline.core import foreign
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.pipelines.device import best, on
from germline.pipelines.files import part
from germline.scorers.images import cropped
from germline.scorers.kept import Score, kept
from germline.scorers.library import only
from germline.scorers.towers import BATCH

WHO, FOLDER = "Safety", "safety_checker"
CODE = "diffusers.pipelines.stable_diffusion.safety_checker"


class Vision(Protocol):
    """What is read of the checker's vision configuration."""

    image_size: int


class Config(Protocol):
    """What is read of the checker's configuration."""

    vision_config: Vision


class Checker(Protocol):
    """diffusers' StableDiffusionSafetyChecker, which is a module too."""

    config: Config


@dataclass(frozen=True)
class Safety:
    """1 where the checker finds nothing in an image, 0 where it would black it out.

    The checker is a CLIP image network with 17 concepts and 3 that sharpen them, each a vector and a threshold. What the concepts are
    was never published; Rando et al. (arXiv 2210.04610) found them to be sexual ones, and violence not among them. The loop's own
    samplers do not use it: an image that it would black out is kept, and counted here.

    Source: the Stable Diffusion releases, as diffusers runs them.

    Attributes:
        weights: a checker's folder, or that of a pipeline which has one.

    Raises:
        MissingExtra: diffusers or transformers is not installed.
        BadInput: there is no checker.
    """

    weights: Path
    name: ClassVar[str] = "safety"
    preprocessing: ClassVar[str] = "A"

    def __post_init__(self) -> None:
        if has_checker(self.weights):
            object.__setattr__(self, "weights", self.weights / FOLDER)
        foreign.present(self.weights, WHO)

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return 1 or 0 a row."""
        return kept(self, pool, [""] * len(pool), ctx, self._opened, BATCH)

    @contextmanager
    def _opened(self) -> Iterator[Score]:
        checker = only(_checker, self)
        size = cast(Checker, checker).config.vision_config.image_size
        call = cast(Callable[..., tuple[object, list[bool]]], checker)
        with on(best(), checker), _without_its_warning():

            def score(images: UInt8[np.ndarray, "b h w c"], conditions: list[str]) -> Float[np.ndarray, " b"]:
                x: Tensor = cropped(images, size).to(next(checker.parameters()).device)
                with torch.inference_mode():
                    _, flagged = call(clip_input=x, images=[np.zeros(1)] * len(images))  # to black out: not needed here
                return 1 - np.array(flagged, np.float64)

            yield score


def has_checker(folder: Path) -> bool:
    """Return whether a pipeline's folder has a safety checker."""
    return (folder / FOLDER / "config.json").exists()


def _checker(scorer: Safety) -> nn.Module:
    if not (scorer.weights / "config.json").exists():
        raise BadInput(f"{WHO}: {scorer.weights} has no {FOLDER}; name a pipeline that came with one, as Stable Diffusion 1 did.")
    return part(WHO, CODE, "StableDiffusionSafetyChecker", scorer.weights)


@contextmanager
def _without_its_warning() -> Iterator[None]:
    """Keep diffusers from saying that a black image will be returned: none is."""
    log = logging.getLogger(CODE)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
