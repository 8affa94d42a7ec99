"""What the training sets are made of, as stacked bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from germline.core.digest import Json
from germline.core.pool import GIVEN, REAL, UNKNOWN
from germline.report.arms import Arm, Group
from germline.report.figures import Figure, bar, generation_axis, layout
from germline.report.origins import counts, origin_name, pretrained
from germline.report.text import count

NOTHING = "pretrained, trained on nothing here"
REAL_COLOUR, UNKNOWN_COLOUR, GIVEN_COLOUR = "#7d8894", "#c9ced4", "#3b7f77"
OLDEST, NEWEST = (253, 208, 162), (140, 45, 4)  # made rows: light is old, dark is new


@dataclass(frozen=True)
class Composition:
    """The stacked bars of one arm, and in words what they show.

    ``shares`` are the layers by generation of origin: percent of T_0, T_1, ...
    """

    arm: Arm
    shares: Mapping[int, tuple[float, ...]]
    figure: Figure
    text: str


def compositions(group: Group) -> list[Composition]:
    """Return the stacked bars of every arm, shares by generation of origin; of several seeds the lowest is shown."""
    return [_composition(arm, group.last) for arm in group.arms if any(map(counts, arm.shown.generations))]


def colour(made: int, last: int) -> str:
    """Return the colour of the rows that generation ``made`` of 0 to ``last`` made."""
    if made == REAL:
        return REAL_COLOUR
    if made == UNKNOWN:
        return UNKNOWN_COLOUR
    if made == GIVEN:
        return GIVEN_COLOUR
    part = made / last if last else 1.0
    return "#{:02x}{:02x}{:02x}".format(*(round(old + part * (new - old)) for old, new in zip(OLDEST, NEWEST, strict=True)))


def training_text(arm: Arm) -> str:
    """Return in words what the last training set of an arm holds."""
    if pretrained(arm.shown.last):
        return f"none: {NOTHING}"
    rows = counts(arm.shown.last)
    if not rows:
        return "unknown"
    size, real = sum(rows.values()), rows.get(REAL, 0)
    strange = f", {_percent(rows[UNKNOWN], size)} of unknown origin" if UNKNOWN in rows else ""
    given = f", {_percent(rows[GIVEN], size)} of the given pool" if GIVEN in rows else ""
    return f"{count(size)} rows, {_percent(real, size)} real{strange}{given}"


def _composition(arm: Arm, last: int) -> Composition:
    rows = [counts(generation) for generation in arm.shown.generations]
    sizes = [sum(row.values()) for row in rows]
    traces: list[dict[str, Json]] = []
    layers: dict[int, tuple[float, ...]] = {}
    for made in sorted({made for row in rows for made in row}):
        here = [row.get(made, 0) for row in rows]
        layers[made] = tuple(100 * n / max(size, 1) for n, size in zip(here, sizes, strict=True))
        hover = [
            f"{escape(arm.name)}, generation {g}<br>{count(n)} of {count(size)} training rows: {origin_name(made)}"
            for g, (n, size) in enumerate(zip(here, sizes, strict=True))
        ]
        traces.append(bar(range(len(rows)), layers[made], origin_name(made), colour(made, max(last - 1, 0)), hover))
    axes = layout(generation_axis(last), {"range": [0, 100], "ticksuffix": "%", "dtick": 50}, height=170)
    grown = "" if sizes[-1] == sizes[0] or not sizes[0] else f" (generation 0: {count(sizes[0])})"
    grown = f" (generation 0: {NOTHING})" if pretrained(arm.shown.generations[0]) else grown
    text = f"Generation {len(rows) - 1}: {training_text(arm)}{grown}"
    return Composition(arm, layers, Figure(tuple(traces), {**axes, "barmode": "stack", "bargap": 0.15}), text)


def _percent(part: int, whole: int) -> str:
    """Return a share; 0 % and 100 % are said only where they are exact."""
    share = 100 * part / whole
    if 0 < share < 1 or 99 < share < 100:
        return f"{share:.1f} %"
    return f"{share:.0f} %"
