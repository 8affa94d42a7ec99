"""One paper a file: a function whose keyword arguments are the command line's flags, and its presets beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from germline.core.recipe import Recipe
from germline.core.shelf import Shelf

if TYPE_CHECKING:
    from germline.diffusion.model import ClassModel

ALL: Shelf[Callable[..., Recipe[ClassModel]]] = Shelf(
    "germline.recipes",
    (
        "replace",
        "real-only",
        "accumulate",
        "accumulate-subsample",
        "fresh",
        "entropy",
        "lsf",
        "sims",
        "neon",
        "self-correction",
        "curation",
        "k-means-coverage",
        "centre-matching",
        "density-ratio",
        "chain-of-diffusion",
        "redifine",
        "rsidiff",
        "sft",
        "command",
    ),
)

__all__ = ["ALL"]
