"""A scorer that a recipe names and whose weights are not here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Scorer
from germline.scorers import published
from germline.scorers.named import scorer


@dataclass(frozen=True)
class Absent:
    """Stands for the scorer ``name``, whose published weights were not downloaded, so that a recipe can be shown without them.

    It scores nothing: a run of it ends before it begins.
    """

    name: str

    def ready(self) -> NoReturn:
        """Say where the weights are.

        Raises:
            BadInput: always.
        """
        repository, file = published.WEIGHTS[self.name]
        raise BadInput(
            f"The scorer {self.name} needs its published weights, which are not here: download {repository} (huggingface-cli download"
            f" {repository} {file}), or give theirs or other scorers: --scorers {self.name}:PATH."
        )

    def __call__(self, pool: Pool, ctx: Context) -> NoReturn:
        """Raise ``BadInput``."""
        self.ready()


def present(name: str) -> Scorer:
    """Return the scorer of a name as ``named.scorer`` does, or, of weights that would have to be downloaded first, one that says so."""
    return Absent(name) if name in published.WEIGHTS and published.here(name) is None else scorer(name)
