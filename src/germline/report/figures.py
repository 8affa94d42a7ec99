"""Figures as plotly reads them; colours of text and axes are left to the page, which knows whether it is light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from germline.core.digest import Json

# Okabe and Ito's colour-blind safe palette without its yellow and black, which vanish on white and on black.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "x")
FADED = "#8a8f98"


@dataclass(frozen=True)
class Figure:
    """Traces and a layout without colours."""

    traces: tuple[dict[str, Json], ...]
    layout: dict[str, Json]

    def to_json(self) -> dict[str, Json]:
        """Return what ``Plotly.newPlot`` takes."""
        return {"data": list(self.traces), "layout": self.layout}


def colour(style: int) -> str:
    """Return the colour of the arm of this style; after six arms the colours come again, with open markers."""
    return COLOURS[style % len(COLOURS)]


def marker(style: int) -> str:
    """Return the marker of the arm of this style."""
    return MARKERS[style % len(MARKERS)] + ("" if style // len(MARKERS) % 2 == 0 else "-open")


def line(
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    style: int | None,
    *,
    width: float = 2.0,
    dash: str = "solid",
    marked: bool = False,
    bounds: Sequence[tuple[float, float]] | None = None,
) -> dict[str, Json]:
    """Return a line over generations; ``style`` None is the grey of real data; ``bounds`` are drawn as error bars."""
    paint = FADED if style is None else colour(style)
    trace: dict[str, Json] = go.Scatter(
        x=list(x),
        y=list(y),
        name=escape(name),
        mode="lines+markers" if marked or len(x) == 1 else "lines",
        line={"color": paint, "width": width, "dash": dash},
        marker={"symbol": "line-ew-open" if style is None else marker(style), "size": 7, "color": paint},
        legendgroup=None if style is None else f"arm{style}",
        hovertemplate="%{fullData.name}" + ("" if style is None else "<br>generation %{x}") + ": %{y:.4~g}<extra></extra>",
        showlegend=False,
    ).to_plotly_json()
    if bounds is not None:
        high, low = [b[1] - v for b, v in zip(bounds, y, strict=True)], [v - b[0] for b, v in zip(bounds, y, strict=True)]
        trace["error_y"] = {"type": "data", "array": list(high), "arrayminus": list(low), "thickness": 1, "width": 2, "color": paint}
    return trace


def band(x: Sequence[int], low: Sequence[float], high: Sequence[float], style: int) -> dict[str, Json]:
    """Return a filled band between ``low`` and ``high`` over generations, in the arm's colour."""
    red, green, blue = (int(colour(style)[i : i + 2], 16) for i in (1, 3, 5))
    trace: dict[str, Json] = go.Scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.16)",
        legendgroup=f"arm{style}",
        hoverinfo="skip",
        showlegend=False,
    ).to_plotly_json()
    return trace


def scatter(x: Sequence[float], y: Sequence[float], name: str, style: int, hover: Sequence[str]) -> dict[str, Json]:
    """Return an arm's points, each with a text of its own."""
    trace: dict[str, Json] = go.Scatter(
        x=list(x),
        y=list(y),
        name=escape(name),
        mode="markers",
        marker={"symbol": marker(style), "size": 6, "color": colour(style), "opacity": 0.75},
        legendgroup=f"arm{style}",
        hovertext=[escape(text) for text in hover],
        hovertemplate="%{hovertext}<br>H %{x:.4~g}, log10 GS %{y:.3~g}<extra></extra>",
        showlegend=False,
    ).to_plotly_json()
    return trace


def bar(x: Sequence[int], y: Sequence[float], name: str, paint: str, hover: Sequence[str]) -> dict[str, Json]:
    """Return one layer of stacked bars."""
    trace: dict[str, Json] = go.Bar(
        x=list(x),
        y=list(y),
        name=escape(name),
        marker={"color": paint, "line": {"width": 0}},
        hovertext=list(hover),
        hoverinfo="text",
        showlegend=False,
    ).to_plotly_json()
    return trace


def generation_axis(last: int) -> dict[str, Json]:
    """Return the axis of generations 0 to ``last``."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 10**9) if last / step <= 8)
    return {
        "dtick": step,
        "range": [-0.5, last + 0.5],
        "title": {"text": "generation", "standoff": 6, "font": {"size": 12}},
        "zeroline": False,
    }


def layout(x: Mapping[str, Json], y: Mapping[str, Json], height: int) -> dict[str, Json]:
    """Return the layout of a small figure."""
    made: dict[str, Json] = go.Layout(
        height=height,
        margin={"l": 46, "r": 10, "t": 8, "b": 40},
        xaxis={**x, "fixedrange": True},
        yaxis={**y, "fixedrange": True, "zeroline": False, "nticks": 6},
        hovermode="closest",
        showlegend=False,
        dragmode=False,
    ).to_plotly_json()
    return made
