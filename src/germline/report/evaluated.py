"""The page of an evaluation: what every prompt looks like round by round, and how scores moved, in pairs. It needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from germline.core.atomic import write_bytes
from germline.report.figures import COLOURS, colour
from germline.report.rendered import rendered
from germline.report.tables import Facts, Table
from germline.report.text import number

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 190, 62, 14, 10, 34  # of a curve, in its own units
APART = 13  # units between two texts of an axis
ROOM = 20.0  # units that the bars of one round may take side by side
DASHES = ("none", "6 3", "2 3")


@dataclass(frozen=True)
class Point:
    """A round's value with its interval, where there is one."""

    round: int
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """An arm's values over its rounds."""

    arm: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Mark:
    """Where a point stands in the picture; without an interval ``low`` and ``high`` are its own height."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Drawn:
    """An arm's curve as it is drawn; where colours come again, its line has dashes."""

    arm: str
    paint: str
    dashes: str
    line: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Plot:
    """Curves in one picture, with the heights and the texts of its axes; ``zero`` is the height of no difference."""

    curves: tuple[Drawn, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    zero: float
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Panel:
    """What one scorer says: a heading, a sentence, a picture where there are rounds, a table of models and one of categories."""

    title: str
    note: str
    plot: Plot | None
    table: Table
    categories: Table | None


@dataclass(frozen=True)
class Asked:
    """A prompt and its first image of every model, as data URIs."""

    prompt: str
    category: str
    uris: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Everything that the page shows; ``columns`` are the models of the pictures."""

    title: str
    lead: str
    columns: tuple[str, ...]
    asked: tuple[Asked, ...]
    panels: tuple[Panel, ...]
    facts: tuple[Facts, ...]


def write(page: Page, out: Path) -> None:
    """Write the page: one file that needs no network.

    Raises:
        GermlineError: the file cannot be written.
    """
    write_bytes(out, rendered("evaluated.html", {"page": page}).encode())


def plotted(curves: Sequence[Curve]) -> Plot | None:
    """Return the picture of the curves of two rounds or more; None where no arm has them."""
    curves = [curve for curve in curves if len(curve.points) > 1]
    points = [point for curve in curves for point in curve.points]
    if not points:
        return None
    ends = [end for p in points for end in (p.value, p.low, p.high) if end is not None] + [0.0]
    low, high, last = min(ends), max(ends), max(point.round for point in points)
    span = (high - low) or 1.0

    def x(round_: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (round_ / max(1, last))

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / span

    def mark(p: Point, style: int) -> Mark:
        if p.low is None or p.high is None:
            return Mark(x(p.round), y(p.value), y(p.value), y(p.value))
        beside = (style - (len(curves) - 1) / 2) * min(3.0, ROOM / len(curves))  # bars on each other cannot be read
        return Mark(x(p.round) + beside, y(p.value), y(p.low), y(p.high))

    drawn = []
    for style, curve in enumerate(curves):
        marks = tuple(mark(point, style) for point in curve.points)
        again = DASHES[style // len(COLOURS) % len(DASHES)]
        drawn.append(Drawn(curve.arm, colour(style), again, " ".join(f"{m.x:.1f},{m.y:.1f}" for m in marks), marks))
    steps = sorted({0, last, last // 2} if last > 1 else {0, last})
    heights = [0.0, *(value for value in (low, high) if abs(y(value) - y(0.0)) >= APART)]
    return Plot(tuple(drawn), tuple((x(r), str(r)) for r in steps), tuple((y(v), number(v)) for v in heights), y(0.0))
