"""Arms by generations: the same row numbers in the same place of every cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from germline.core.pool import Pool
from germline.report.arms import Arm, Group, Run
from germline.report.pictures import data_uri, mosaic, shrink, small

COLUMNS, TILES = 7, 20
BYTES = 1_600_000  # of pixels in all grids of a page; above it, fewer generations and tiles are shown
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
    """Rows are arms, columns generations; ``real`` shows real images of the same classes in the same places.

    ``rounds``: some generation was asked prompts of its own; its cell shows their first rows.
    ``reordered`` names arms whose rows are of other classes than those of the first: they share classes with it, and no row numbers.
    """

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
    reordered: tuple[str, ...] = ()
    rounds: bool = False

    @property
    def lines(self) -> list[str]:
        """The classes of each line of tiles, until they repeat."""
        return class_lines(self.classes, self.columns)


def grid(group: Group, share: float = 1.0) -> Grid:
    """Return the grid of a group, of several seeds the lowest; ``share`` is its part of what the page may weigh."""
    shape = tuple(small(group.data.real.images[:1]).shape[1:])
    most, wanted = _affordable(len(group.arms), int(np.prod(shape)), share)
    generations = spread(group.last, most)
    reference = group.arms[0].shown.generations[0].samples
    rows = tile_rows(reference, wanted)
    condition = reference.condition[rows]
    columns = across(len(np.unique(reference.condition)))
    gap = gap_of(shape[1])

    def cell(arm: Arm, number: int) -> Cell:
        done = arm.shown.generations
        if number >= len(done):
            return Cell(number, None)
        samples = done[number].samples
        return Cell(number, data_uri(tiles(samples, at_places(samples, rows, condition), columns)))

    lines = -(-len(rows) // columns)
    width, height = columns * (shape[1] + gap) - gap, lines * (shape[0] + gap) - gap
    return Grid(
        rows=tuple(Row(arm, tuple(cell(arm, number) for number in generations)) for arm in group.arms),
        generations=generations,
        real=data_uri(tiles(group.data.real, beside(group.data.real, condition), columns)),
        classes=tuple(label(one, group.data.classes) for one in condition),
        tiles=len(rows),
        columns=columns,
        width=width,
        height=height,
        scale=max(1, round(WIDTH / width)) if width <= 1.4 * WIDTH else WIDTH / width,
        shrunk=shrink(max(group.data.image_shape[:2])),
        reordered=tuple(arm.name for arm in group.arms if not keeps_order(arm.shown, rows, condition)),
        rounds=any(has_rounds(arm.shown, condition) for arm in group.arms),
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


def of_class(pool: Pool, condition: np.ndarray) -> np.ndarray:
    """Return rows of ``pool`` with these conditions, the first ones, each row once; -1 where a condition has none left."""
    left = {value: list(np.flatnonzero(pool.condition == value)[::-1]) for value in np.unique(condition)}
    return np.array([left[value].pop() if left[value] else -1 for value in condition], np.int64)


def alike(pool: Pool, condition: np.ndarray) -> np.ndarray:
    """Return rows of ``pool`` with these conditions, each row once.

    Any row stands in where a condition has none left; -1 where there are no rows any more.
    """
    rows, spare = of_class(pool, condition), iter(range(len(pool)))
    return np.array([row if row >= 0 else next(spare, -1) for row in rows], np.int64)


def beside(pool: Pool, condition: np.ndarray) -> np.ndarray:
    """Return the rows of real images to show beside samples: as ``alike``, but a prompt that has none left has its place empty.

    Where a picture of another class stands in, it is seen to be one; with prompts it would be taken for what was asked for.
    """
    return alike(pool, condition) if np.issubdtype(condition.dtype, np.integer) else of_class(pool, condition)


def at_places(pool: Pool, rows: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """Return the rows that stand in the places of ``rows``: those themselves, where they have these conditions.

    Samples in another order, as those of another program may be, share no noise: then the first rows of each condition, -1 where it
    has none left. Of a round with prompts of its own, its own first rows.
    """
    if aligned(pool, rows, condition):
        return np.where(rows < len(pool), rows, -1)
    if not asked_anew(pool, condition):
        return of_class(pool, condition)
    own = tile_rows(pool, len(rows))
    return np.concatenate([own, np.full(len(rows) - len(own), -1)])


def asked_anew(pool: Pool, condition: np.ndarray) -> bool:
    """Return whether most of these prompts are not the pool's, as where every round has its own."""
    return not np.issubdtype(condition.dtype, np.integer) and bool(np.isin(condition, pool.condition).mean() < 0.5)


def aligned(pool: Pool, rows: np.ndarray, condition: np.ndarray) -> bool:
    """Return whether those of ``rows`` that the pool has are of these conditions."""
    there = rows < len(pool)
    return np.array_equal(pool.condition[rows[there]], condition[there])


def keeps_order(run: Run, rows: np.ndarray, condition: np.ndarray) -> bool:
    """Return whether these rows are of these conditions in every generation of a run that was asked them."""
    every = (generation.samples for generation in run.generations)
    return all(aligned(samples, rows, condition) or asked_anew(samples, condition) for samples in every)


def has_rounds(run: Run, condition: np.ndarray) -> bool:
    """Return whether some generation of a run was asked other prompts."""
    return any(asked_anew(generation.samples, condition) for generation in run.generations)


def tiles(pool: Pool, rows: np.ndarray, columns: int, *, whole: bool = False) -> UInt8[np.ndarray, "y x c+1"]:
    """Return the images of these rows as one picture with opacity, ``columns`` a line; row -1 leaves its place empty.

    Large images are shrunk, unless they are wanted ``whole``.
    """
    images = pool.images[np.maximum(rows, 0)]
    shown = images if whole else small(images)
    return mosaic(shown, columns, gap_of(shown.shape[2]), rows >= 0)


def gap_of(width: int) -> int:
    """Return how many pixels lie between images of this width."""
    return 1 if width <= 16 else 2


def class_lines(classes: Sequence[str], columns: int) -> list[str]:
    """Return the classes of each line of tiles, until they repeat."""
    lines = [", ".join(classes[i : i + columns]) for i in range(0, len(classes), columns)]
    return list(dict.fromkeys(lines))


def label(condition: object, classes: Sequence[str]) -> str:
    """Return a condition in words: the class's name, or the prompt."""
    if isinstance(condition, np.integer | int):
        return classes[int(condition)] if 0 <= condition < len(classes) else f"class {condition}"
    return str(condition)


def _affordable(arms: int, pixel_bytes: int, share: float) -> tuple[int, int]:
    """Return how many generations and tiles fit into the page."""
    choices = ((COLUMNS, TILES), (6, TILES), (5, TILES), (5, 10), (4, 10), (3, 10), (2, 10))
    return next((c for c in choices if arms * c[0] * c[1] * pixel_bytes <= share * BYTES), choices[-1])


def across(classes: int) -> int:
    """Return how many tiles to put in a line, so that a class stands in one column or on one line where that can be."""
    return next((line for line in (5, 4, 6) if classes % line == 0 or line % classes == 0), 5)
