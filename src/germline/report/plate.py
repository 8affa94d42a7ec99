"""The same-seed grid as a figure for a paper: words as text, and pixels as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from germline.report.arms import Group
from germline.report.grids import gap_of
from germline.report.pictures import small
from germline.report.sheet import Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL, GAP, INK, SOFT = 0.15, 0.05, 7, "#57606a"  # inches of a line of text and between cells; points; colour of what is said beside


@dataclass(frozen=True)
class Plan:
    """Where the cells of a sheet lie on a figure, in inches from its upper left corner."""

    width: float
    wide: float
    high: float
    lines: int

    def corner(self, line: int, column: int) -> tuple[float, float]:
        """Return how far right and how far down a cell begins; a line of text stands over each line of cells."""
        return column * (self.wide + GAP), 2 * SMALL + line * (SMALL + self.high + GAP)

    @property
    def height(self) -> float:
        """The figure's height."""
        return self.corner(self.lines - 1, 0)[1] + self.high


def plan(sheet: Sheet, group: Group, width: float) -> Plan:
    """Return the plan of a sheet on a figure that is ``width`` inches wide."""
    columns, (high, wide) = len(sheet.generations) + 1, _cell(sheet, group)
    each = (width - (columns - 1) * GAP) / columns
    return Plan(width, each, each * high / wide, len(sheet.lines))


def cells(sheet: Sheet, group: Group) -> Iterator[list[UInt8[np.ndarray, "y x 3"] | None]]:
    """Yield the cells of each line of a sheet, real images first; None where a run has not come so far.

    A pixel of an image is a square of whole pixels there, so that viewers that smooth what they enlarge blur its edge only.
    """
    pixels, (high, wide) = np.asarray(sheet.image), _cell(sheet, group)
    for line, corners in zip(sheet.lines, sheet.corners, strict=True):
        done = -1 if line.run is None else line.run.last.number
        there = [True, *(generation <= done for generation in sheet.generations)]
        yield [pixels[y : y + high, x : x + wide] if known else None for (x, y), known in zip(corners, there, strict=True)]


def plate(figure: Figure, sheet: Sheet, group: Group) -> None:
    """Draw a sheet as wide as the figure: an arm a line, real images of the same classes in front."""
    where = plan(sheet, group, figure.get_figwidth())

    def text(right: float, down: float, words: str, colour: str) -> None:
        figure.text(right / where.width, 1 - down / where.height, words, va="baseline", fontsize=INK, color=colour)

    heads = ["real", *(f"{'generation ' * (i == 0)}{number}" for i, number in enumerate(sheet.generations))]
    for column, head in enumerate(heads):
        text(where.corner(0, column)[0], SMALL * 0.75, head, SOFT)
    for i, (line, pictures) in enumerate(zip(sheet.lines, cells(sheet, group), strict=True)):
        text(0, where.corner(i, 0)[1] - SMALL / 4, line.arm.name, "black")
        for column, picture in enumerate(pictures):
            right, down = where.corner(i, column)
            place = (right / where.width, 1 - (down + where.high) / where.height, where.wide / where.width, where.high / where.height)
            axes = figure.add_axes(place)
            axes.set_axis_off()
            if picture is None:
                axes.text(0.5, 0.5, "not run", ha="center", va="center", fontsize=INK, color=SOFT, transform=axes.transAxes)
            else:
                axes.imshow(picture, interpolation="none", aspect="auto")


def _cell(sheet: Sheet, group: Group) -> tuple[int, int]:
    """Return height and width of a sheet's cells in its pixels."""
    high, wide = small(group.data.real.images[:1]).shape[1:3]
    gap, lines = gap_of(wide), -(-len(sheet.rows) // sheet.columns)
    return (lines * (high + gap) - gap) * sheet.scale, (sheet.columns * (wide + gap) - gap) * sheet.scale
