"""Prompts that are new in every generation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from torch import Tensor

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool, Rows
from germline.core.protocols import Sampler
from germline.core.splits import Splits

Made = TypeVar("Made", contravariant=True)


@dataclass(frozen=True)
class Rounds(Generic[Made]):
    """Let ``sampler`` draw generation g's samples of the prompts of round g: no prompt is drawn in two generations.

    Source: P_0, P_1, ... of Algorithm 1 in Zhang et al., arXiv 2502.09963; that they share no prompt is inferred.

    Attributes:
        sampler: draws the prompts of the real rows that its context has.
        prompts: a file of ``germline prompts rounds``, Parquet or JSONL, with the columns prompt and round; else the prompts of the real
            rows are the rounds, in their order.
        template: what each prompt is put into, such as "a photo of {noun}" for a file of nouns.

    Raises:
        BadInput: no such file or columns, a round has fewer prompts than are to be drawn, or a template without {noun}.
    """

    sampler: Sampler[Made]
    prompts: Path | None = None
    template: str | None = None

    def __post_init__(self) -> None:
        if self.prompts is not None and not self.prompts.is_file():
            raise BadInput(f"Rounds: there is no file {self.prompts}; make one with germline prompts rounds.")
        if self.template is not None and "{noun}" not in self.template:
            raise BadInput(f"Rounds: the template {self.template!r} has no {{noun}}; give one such as 'a photo of {{noun}}'.")

    @property
    def n(self) -> int:
        """Rows a generation."""
        return self.sampler.n

    @property
    def images_a_prompt(self) -> int:
        """Rows that share a prompt."""
        return int(getattr(self.sampler, "images_a_prompt", 1))

    def evaluations(self) -> int:
        """Return network evaluations a row: those of the sampler."""
        asked = getattr(self.sampler, "evaluations", None)
        return int(asked()) if callable(asked) else 1

    def __call__(self, model: Made, rows: Rows, ctx: Context) -> Pool:
        """Return one image a row."""
        return self.sampler(model, rows, self._asked(ctx))

    def watched(self, model: Made, rows: Rows, ctx: Context, see: Callable[[np.ndarray, float, Tensor], None]) -> Pool:
        """Return what a call returns, and show ``see`` the sampler's predictions on the way.

        Raises:
            BadInput: the sampler does not show them.
        """
        if not callable(watched := getattr(self.sampler, "watched", None)):
            raise BadInput(f"Rounds: a {type(self.sampler).__name__} does not show its predictions; Denoised and SamplePipeline do.")
        pool: Pool = watched(model, rows, self._asked(ctx), see)
        return pool

    def enough(self, generations: int, data: Splits) -> None:
        """Do nothing, if there are prompts for generations 0 to ``generations``.

        Raises:
            BadInput: one has too few.
        """
        for number in range(generations + 1):
            self._told(number, data)

    def _told(self, generation: int, data: Splits) -> np.ndarray:
        need = math.ceil(self.n / self.images_a_prompt)
        told = data.real.condition[generation * need :] if self.prompts is None else of_round(self.prompts, generation)
        if len(told) < need:
            where = "the data's real rows" if self.prompts is None else str(self.prompts)
            raise BadInput(
                f"Rounds: generation {generation} draws {need} prompts, but {where} have {len(told)} left for it; give more prompts, with a"
                f" round for generation 0 (germline prompts rounds --rounds {generation + 1} or more), or fewer generations or rows."
            )
        return told[:need]

    def _asked(self, ctx: Context) -> Context:
        """Return the context with the round's prompts in place of the real rows'."""
        told, real = self._told(ctx.generation, ctx.data), ctx.data.real
        texts = [str(prompt) if self.template is None else self.template.replace("{noun}", str(prompt)) for prompt in told]
        asked = replace(real.take(np.zeros(len(texts), np.int64)), condition=np.array(texts))
        return replace(ctx, data=replace(ctx.data, real=asked))


def of_round(path: Path, number: int) -> np.ndarray:
    """Return the prompts of a round, in the order of the file.

    Raises:
        BadInput: the file is damaged or of another kind, or lacks a column.
    """
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.json.read_json(path)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"Rounds: {path} cannot be read ({str(error).splitlines()[0]}); give Parquet or JSONL.") from error
    if lacking := {"prompt", "round"} - set(table.column_names):
        raise BadInput(f"Rounds: {path} has no column {min(lacking)}; make the file with germline prompts rounds.")
    prompts = np.array(table["prompt"].to_pylist(), dtype=np.str_)
    found: np.ndarray = prompts[np.array(table["round"].to_pylist()) == number]
    return found
