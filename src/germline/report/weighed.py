"""How the weights of the training sets are spread, as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from germline.core.digest import Json
from germline.core.measurement import Measurement
from germline.report.arms import Arm, Group
from germline.report.figures import Figure, bar, generation_axis, layout

METRIC = "weight"  # whose curve is the histogram
LIGHT, DARK = (226, 229, 232), (38, 84, 124)  # the lowest weights, the greatest


@dataclass(frozen=True)
class Weighed:
    """The stacked bars of one arm, and in words what the last of them shows."""

    arm: Arm
    figure: Figure
    text: str


def weighed(group: Group) -> list[Weighed]:
    """Return the bars of every arm whose rows did not all count alike, of its lowest seed."""
    found = []
    for arm in group.arms:
        curves = {g: curve for g, curve in enumerate(map(_curve, arm.shown.values)) if curve}
        if any(curve[-1] < 1 for curve in curves.values()):
            found.append(_bars(arm, curves, group.last))
    return found


def shade(place: int, bins: int) -> str:
    """Return the colour of a bin: dark is a great weight."""
    part = place / max(bins - 1, 1)
    return "#{:02x}{:02x}{:02x}".format(*(round(a + part * (b - a)) for a, b in zip(LIGHT, DARK, strict=True)))


def _curve(values: Sequence[Measurement]) -> tuple[float, ...] | None:
    return next((value.curve for value in values if value.name == METRIC and value.of == "training"), None)


def _bars(arm: Arm, curves: dict[int, tuple[float, ...]], last: int) -> Weighed:
    bins = len(next(iter(curves.values())))
    traces: list[dict[str, Json]] = []
    for place in reversed(range(bins)):
        name = f"{place / bins:.1f} to {(place + 1) / bins:.1f} of the greatest weight"
        shares = [100 * curve[place] for curve in curves.values()]
        hover = [
            f"{escape(arm.name)}, generation {g}<br>{share:.0f} % of the training rows: {name}"
            for g, share in zip(curves, shares, strict=True)
        ]
        traces.append(bar(list(curves), shares, name, shade(place, bins), hover))
    axes = layout(generation_axis(last), {"range": [0, 100], "ticksuffix": "%", "dtick": 50}, height=170)
    final, at = curves[max(curves)], max(curves)
    half = 100 * sum(final[: bins // 2])
    text = f"Generation {at}: {100 * final[-1]:.0f} % of the rows count whole or nearly so, {half:.0f} % less than half."
    return Weighed(arm, Figure(tuple(traces), {**axes, "barmode": "stack", "bargap": 0.15}), text)
