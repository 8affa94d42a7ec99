"""Curves, compositions and the law on matplotlib's axes: the page's numbers and colours, and readable in grey as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from germline.core.pool import GIVEN, REAL, UNKNOWN
from germline.report.arms import Arm, Group
from germline.report.composition import Composition
from germline.report.composition import colour as made_colour
from germline.report.curves import BAND, BANDS, Series
from germline.report.figures import COLOURS, FADED, colour, marker
from germline.report.law import Law
from germline.report.origins import origin_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The page's markers by matplotlib's names, and a pattern of dashes for each colour: in grey, these tell the arms apart.
MARKS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "x": "X"}
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "solid",
    (0, (6, 1.5)),
    (0, (3, 1.2, 1, 1.2)),
    (0, (1.2, 1.2)),
    (0, (9, 2)),
    (0, (3, 1.2, 1, 1.2, 1, 1.2)),
)
REAL_DASH = (0, (3, 2.5))
HATCHES = {REAL: "////", UNKNOWN: "....", GIVEN: "xxxx"}
PAPER = "#ffffff"


def dash(style: int) -> str | tuple[int, tuple[float, ...]]:
    """Return the dashes of the arm of this style; where colours come again, they go with other dashes."""
    return DASHES[(style + style // len(COLOURS)) % len(DASHES)]


def mark(style: int) -> tuple[str, str]:
    """Return marker and fill of the arm of this style."""
    name = marker(style)
    return MARKS[name.removesuffix("-open")], PAPER if name.endswith("-open") else colour(style)


def curves(axes: Axes, series: Series, group: Group) -> None:
    """Draw a metric over the generations: means with their t-intervals as bands; under three seeds thin lines instead."""
    held = [arm for arm in group.arms if any(series.of(series.main, run) for run in arm.runs)]
    _real_images(axes, series, held)
    for arm in held:
        _curve(axes, series, arm, min(BAND, BANDS / len(held)))
    _generations(axes, group.last)
    values = [point.value for runs in series.points.values() for points in runs.values() for point in points.values()]
    if min(values) >= 0:
        lowest = min((low for arm in held for low, _ in bounds(series, arm).values()), default=0.0)
        axes.set_ylim(bottom=None if lowest < 0 else 0)


def bounds(series: Series, arm: Arm) -> dict[int, tuple[float, float]]:
    """Return the ends of the t-interval over an arm's seeds, by generation; nothing under three seeds."""
    found = {g: one for g in range(arm.length) if (one := series.interval(arm, g)) is not None}
    return {g: (one.low, one.high) for g, one in found.items() if one.low is not None and one.high is not None}


def law(axes: Axes, found: Law, group: Group) -> None:
    """Draw log10 GS over entropy, a point a generation and seed, beside the null line."""
    entropies = [point.entropy for point in found.points]
    ends = [min(entropies), max(entropies)]
    null = [found.constant + found.slope * h for h in ends]
    axes.plot(ends, null, color=FADED, linewidth=1, linestyle=REAL_DASH, label="null line")
    for arm in group.arms:
        here = [point for point in found.points if point.run in arm.runs]
        if here:
            shape, fill = mark(arm.style)
            axes.plot(
                [point.entropy for point in here],
                [point.log_gs for point in here],
                linestyle="none",
                marker=shape,
                markersize=3.5,
                color=colour(arm.style),
                markerfacecolor=fill,
                markeredgewidth=0.6,
                alpha=0.8,
                label=arm.name,
            )
    axes.set_xlabel("entropy of the samples, nats")
    axes.set_ylabel("log₁₀ generalisation score")


def composition(axes: Axes, found: Composition, last: int) -> None:
    """Draw what an arm's training sets are made of, a bar a generation, oldest origin at the bottom; real rows are hatched."""
    floor = np.zeros(len(next(iter(found.shares.values()))))
    for made, shares in found.shares.items():
        axes.bar(
            range(len(floor)),
            shares,
            bottom=floor,
            width=0.85,
            color=made_colour(made, max(last - 1, 0)),
            hatch=HATCHES.get(made),
            edgecolor=PAPER,
            linewidth=0,
            label=origin_name(made),
        )
        floor = floor + shares
    _generations(axes, last)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100])
    axes.set_title(found.arm.name, loc="left")


def _curve(axes: Axes, series: Series, arm: Arm, opacity: float) -> None:
    paint, (shape, fill) = colour(arm.style), mark(arm.style)
    ends = bounds(series, arm)
    if ends:
        low, high = zip(*ends.values(), strict=True)
        axes.fill_between(list(ends), low, high, color=paint, alpha=opacity, linewidth=0)
    elif len(arm) > 1:
        for run in arm.runs:
            points = series.of(series.main, run)
            axes.plot(list(points), [point.value for point in points.values()], color=paint, linewidth=0.4, linestyle=dash(arm.style))
    means = {g: value for g in range(arm.length) if (value := series.mean(arm, g)) is not None}
    axes.plot(
        list(means),
        list(means.values()),
        color=paint,
        linewidth=1.2,
        linestyle=dash(arm.style),
        marker=shape,
        markersize=3.5,
        markerfacecolor=fill,
        markeredgewidth=0.6,
        label=arm.name,
    )


def _real_images(axes: Axes, series: Series, arms: Sequence[Arm]) -> None:
    """Draw the level of real images: one where all runs agree on it, else that of each arm in its colour."""
    if (level := series.level) is not None:
        axes.axhline(level, color=FADED, linewidth=1, linestyle=REAL_DASH, label="real images")
        return
    for arm in arms:
        points = series.of("reference", arm.shown)
        axes.plot(list(points), [point.value for point in points.values()], color=colour(arm.style), linewidth=0.6, linestyle=REAL_DASH)


def _generations(axes: Axes, last: int) -> None:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 10**9) if last / step <= 8)
    axes.set_xlim(-0.5, last + 0.5)
    axes.set_xticks(range(0, last + 1, step))
    axes.set_xlabel("generation")
