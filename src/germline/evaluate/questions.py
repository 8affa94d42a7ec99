"""The prompts that are put to every model, and the category of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from germline.core import digest
from germline.core.errors import BadInput
from germline.prompts.read import read_prompts

CATEGORIES = ("category", "tag", "style", "challenge")  # columns that are taken for one, in this order, upper case or lower


@dataclass(frozen=True)
class Questions:
    """Prompts, with the category, the file and the row that each stands in; category "" where there is none."""

    prompts: tuple[str, ...]
    categories: tuple[str, ...]
    sources: tuple[str, ...]
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def digest(self) -> str:
        """The sha256 of prompts and categories, in their order."""
        return digest.of_json([list(self.prompts), list(self.categories)])

    def spread(self, most: int | None) -> Questions:
        """Return ``most`` of them, evenly spread over their order: files are often sorted by category."""
        if most is None or most >= len(self):
            return self
        if most < 1:
            raise BadInput(f"--most must be at least 1, but is {most}.")
        chosen = np.rint(np.linspace(0, len(self) - 1, most)).astype(int)
        return Questions(*(tuple(values[i] for i in chosen) for values in (self.prompts, self.categories, self.sources, self.rows)))


def questions(sources: Sequence[Path | str], column: str | None = None, category: str | None = None) -> Questions:
    """Return the prompts of files, of folders of files, or of "parti", the embedded PartiPrompts (arXiv 2206.10789).

    Args:
        sources: of prompts, as ``prompts.read`` takes them.
        column: of the prompts, where it has another name than usual.
        category: the column that groups them: Category, category, tag, style or Challenge when not given; of several files without such
            a column, the file's name is the category (the HPS benchmark has a file a style).

    Raises:
        BadInput: no such file or column, or a prompt is empty.
    """
    table = read_prompts(sources, column)
    prompts = [str(prompt).strip() for prompt in table["prompt"].to_pylist()]
    files, rows = ([*table[name].to_pylist()] for name in ("source", "row"))
    if "" in prompts:
        at = prompts.index("")
        raise BadInput(f"{files[at]}, row {rows[at]}: the prompt is empty. Run germline prompts clean first, or take the row out.")
    return Questions(tuple(prompts), tuple(_categories(table, category, files)), tuple(map(str, files)), tuple(map(int, rows)))


def _categories(table: pa.Table, wanted: str | None, files: Sequence[str]) -> list[str]:
    known = {name.lower(): name for name in reversed(table.column_names)}
    if wanted is not None and wanted not in table.column_names:
        raise BadInput(f"The prompts have no column {wanted!r} to group them by; they have {', '.join(table.column_names)}.")
    name = wanted or next((known[usual] for usual in CATEGORIES if usual in known), None)
    if name is not None:
        return ["" if value is None else str(value) for value in table[name].to_pylist()]
    return [Path(file).stem for file in files] if len(set(files)) > 1 else [""] * len(table)
