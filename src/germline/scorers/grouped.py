"""Prompts as labels: a scorer of classes, where rows have prompts and a table says of which group each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Scorer
from germline.core.splits import NAMES, Splits
from germline.core.tables import table

NONE = -1  # the label of real rows whose prompt is in no group


@dataclass(frozen=True)
class Grouped:
    """What ``scorer`` gives where a row's class is the group of its prompt, so that a probe of classes filters captioned images.

    ``groups`` is a table (CSV, Parquet, JSON or JSONL) with the columns prompt and group; blanks around a prompt and its case do not
    count. The classes are the groups that rows of the judge split have. Every scored row's prompt must be of one of them; real rows of
    none are left out of their splits.

    Source: ours; arXiv 2511.12742 filters images with classes.

    Attributes:
        scorer: such as ``Confidence``, fitted on the judge split.
        groups: the table.

    Raises:
        BadInput: there is no such table, or it lacks a column or a prompt.
    """

    scorer: Scorer
    groups: Path

    def __post_init__(self) -> None:
        if not self.groups.is_file():
            raise BadInput(f"Grouped: there is no file {self.groups}; give a table with the columns prompt and group.")

    @property
    def name(self) -> str:
        """The scorer's."""
        return self.scorer.name

    @property
    def needs(self) -> tuple[str, ...]:
        """What the scorer needs."""
        return tuple(getattr(self.scorer, "needs", ()))

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one number a row."""
        found = read(self.groups, digest.of_path(self.groups))
        names = tuple(sorted({group for prompt in ctx.data.judge.condition if (group := found.get(_key(prompt)))}))
        labels = _labels(pool, found, names)
        if (lacking := np.flatnonzero(labels == NONE)).size:
            raise BadInput(
                f"Grouped: {self.groups} has no group for the prompt {str(pool.condition[lacking[0]])!r} that rows of the judge split have,"
                f" nor for {lacking.size - 1} other rows; add a line for each prompt."
            )
        splits = {name: getattr(ctx.data, name) for name in NAMES}
        told = {name: _told(replace(split, condition=_labels(split, found, names))) for name, split in splits.items()}
        data = Splits(ctx.data.name, names, **told)
        return np.asarray(self.scorer(replace(pool, condition=labels), replace(ctx, data=data)), np.float64)


@lru_cache(maxsize=4)
def read(path: Path, content: str) -> Mapping[str, str]:
    """Return the group of each prompt; ``content`` is the file's hash.

    Raises:
        BadInput: a line lacks a column, or a prompt has two groups.
    """
    found: dict[str, str] = {}
    for entry, line in enumerate(table(path)):
        if lacking := [name for name in ("prompt", "group") if line.get(name) in (None, "")]:
            raise BadInput(f"Grouped: {path} entry {entry} lacks {lacking[0]}; it has {', '.join(line) or 'nothing'}.")
        prompt, group = _key(line["prompt"]), str(line["group"])
        if found.setdefault(prompt, group) != group:
            raise BadInput(f"Grouped: {path} entry {entry} puts {line['prompt']!r} into {group}, but an earlier one into {found[prompt]}.")
    if len(set(found.values())) < 2:
        raise BadInput(f"Grouped: {path} has {len(set(found.values()))} groups, and a probe tells two or more apart.")
    return found


def _told(split: Pool) -> Pool:
    return split.take(split.condition != NONE)


def _key(prompt: object) -> str:
    return " ".join(str(prompt).split()).casefold()


def _labels(pool: Pool, groups: Mapping[str, str], names: tuple[str, ...]) -> Int64[np.ndarray, " n"]:
    place = {name: number for number, name in enumerate(names)}
    return np.array([place.get(groups.get(_key(prompt), ""), NONE) for prompt in pool.condition], np.int64)
