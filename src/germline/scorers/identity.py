"""What a score is known by, to be written beside every number it gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from germline.core import digest
from germline.core.protocols import Scorer


@dataclass(frozen=True)
class Identity:
    """A scorer's name, the version of its code, the sha256 of its weights (or what serves), and how images are brought to it."""

    name: str
    version: int
    weights: str | None
    preprocessing: str | None

    def to_json(self) -> dict[str, digest.Json]:
        """Return the fields."""
        return dict(vars(self))


def identity(scorer: Scorer) -> Identity:
    """Return what a scorer is known by: two scorers of equal identity give equal scores, up to ``precision`` and ``template``."""
    weights = getattr(scorer, "weights", None)
    known = digest.of_path(weights) if isinstance(weights, Path) else getattr(scorer, "known_by", None)
    if isinstance(head := getattr(scorer, "head", None), Path):
        known = digest.of_json([known, digest.of_path(head)])
    return Identity(scorer.name, getattr(scorer, "version", 1), known, getattr(scorer, "preprocessing", None))
