"""Arms by generations: the same row numbers in the same place of every cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from germline.core.pool import Pool
from germline.report.arms import Arm, Group
from germline.report.pictures import data_uri, mosaic, shrink, small

COLUMNS, TILES = 7, 20
BYTES = 4_000_000  # of pixels in all grids of a page; above it, fewer generations and tiles are shown
WIDTH = 148  # css pixels of a cell, about


@dataclass(frozen=True)
class Cell:
    """Samples of one generation as one picture, or none where the run has not come that far."""

    generation: int
    uri: str | None


@dataclass(frozen=True)
class Row:
    """The cells of one arm."""

    arm: Arm
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """Rows are arms, columns generations; ``real`` shows real images of the same classes in the same places."""

    rows: tuple[Row, ...]
    generations: tuple[int, ...]
    real: str
    classes: tuple[str, ...]
    tiles: int
    columns: int
    width: int
    height: int
    scale: float
    shrunk: int

    @property
    def lines(self) -> list[str]:
        """The classes of each line of tiles, until they repeat."""
        lines = [", ".join(self.classes[i : i + self.columns]) for i in range(0, len(self.classes), self.columns)]
        return list(dict.fromkeys(lines))


def grid(group: Group, share: float = 1.0) -> Grid:
    """Return the grid of a group, of several seeds the lowest; ``share`` is its part of what the page may weigh."""
    shape = tuple(small(group.data.real.images[:1]).shape[1:])
    columns, wanted = _affordable(len(group.arms), int(np.prod(shape)), share)
    generations = spread(group.last, columns)
    reference = group.arms[0].shown.generations[0].samples
    rows = tile_rows(reference, wanted)
    across = _across(len(np.unique(reference.condition)))
    gap = 1 if shape[1] <= 16 else 2

    def picture(pool: Pool, chosen: np.ndarray) -> str:
        return data_uri(mosaic(small(pool.images[chosen]), across, gap))

    def cell(arm: Arm, number: int) -> Cell:
        done = arm.shown.generations
        if number >= len(done):
            return Cell(number, None)
        samples = done[number].samples
        return Cell(number, picture(samples, rows[rows < len(samples)]))

    lines = -(-len(rows) // across)
    width, height = across * (shape[1] + gap) - gap, lines * (shape[0] + gap) - gap
    return Grid(
        rows=tuple(Row(arm, tuple(cell(arm, number) for number in generations)) for arm in group.arms),
        generations=generations,
        real=picture(group.data.real, alike(group.data.real, reference.condition[rows])),
        classes=tuple(label(condition, group.data.classes) for condition in reference.condition[rows]),
        tiles=len(rows),
        columns=across,
        width=width,
        height=height,
        scale=max(1, round(WIDTH / width)) if width <= 1.4 * WIDTH else WIDTH / width,
        shrunk=shrink(max(group.data.image_shape[:2])),
    )


def spread(last: int, columns: int) -> tuple[int, ...]:
    """Return at most ``columns`` generations from 0 to ``last``, both included, evenly spread."""
    return tuple(int(g) for g in np.unique(np.rint(np.linspace(0, last, min(columns, last + 1)))))


def tile_rows(pool: Pool, tiles: int) -> np.ndarray:
    """Return row numbers: the first row of every class, then the second of every class, and so on, ``tiles`` in all.

    With more classes than tiles, classes are spread evenly.
    """
    classes = np.unique(pool.condition)
    if len(classes) > tiles:
        classes = classes[np.rint(np.linspace(0, len(classes) - 1, tiles)).astype(int)]
    a_class = [np.flatnonzero(pool.condition == c)[: max(1, tiles // len(classes))] for c in classes]
    return np.array([rows[i] for i in range(max(map(len, a_class))) for rows in a_class if i < len(rows)], np.int64)


def alike(pool: Pool, condition: np.ndarray) -> np.ndarray:
    """Return rows of ``pool`` with these conditions, each row once; any row stands in where a condition has none left."""
    left = {value: list(np.flatnonzero(pool.condition == value)[::-1]) for value in np.unique(condition)}
    spare = list(range(len(pool)))[::-1]
    return np.array([left[value].pop() if left[value] else spare.pop() for value in condition], np.int64)


def label(condition: object, classes: Sequence[str]) -> str:
    """Return a condition in words: the class's name, or the prompt."""
    if isinstance(condition, np.integer | int):
        return classes[int(condition)] if 0 <= condition < len(classes) else f"class {condition}"
    return str(condition)


def _affordable(arms: int, pixel_bytes: int, share: float) -> tuple[int, int]:
    """Return how many generations and tiles fit into the page."""
    choices = ((COLUMNS, TILES), (6, TILES), (5, TILES), (5, 10), (4, 10), (3, 10), (2, 10))
    return next((c for c in choices if arms * c[0] * c[1] * pixel_bytes <= share * BYTES), choices[-1])


def _across(classes: int) -> int:
    """Return how many tiles to put in a line, so that a class stands in one column or on one line where that can be."""
    return next((across for across in (5, 4, 6) if classes % across == 0 or across % classes == 0), 5)
