"""What a score is known by, to be written beside every number it gives."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from germline.core import digest
from germline.core.protocols import Scorer
from germline.scorers.function import Function

THIS_PROCESS = secrets.token_hex(32)  # stands for code that lies in no file


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


def own_code(part: object) -> list[digest.Json]:
    """Return the sha256 of the file that a user's function is in, for what must notice that it was edited; of any other part, nothing.

    Not of what that file imports. Parts say by ``version`` that they changed; a run knows a function by its name, or edits would end it.
    """
    if not isinstance(part, Function):
        return []
    function: object = part.function
    while isinstance(function, partial):
        function = function.func
    module = sys.modules.get(str(getattr(function, "__module__", "")))
    file = Path(getattr(module, "__file__", None) or "")
    return [digest.of_file(file) if file.is_file() else THIS_PROCESS]
