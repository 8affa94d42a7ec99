"""A prediction of how classes fade or are exaggerated, drawn over the chain that came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from germline.report.figures import Figure, generation_axis, layout, line


def foretold_figure(curves: Mapping[str, Sequence[float]], own: Sequence[float], observed: Sequence[float]) -> Figure:
    """Return displacement over generations: dashed what is foretold, at each scale in ``curves`` and for the run; dots what came.

    1 is the displacement of the data that generation 0 was trained on. The axis is logarithmic: a constant growth is a straight line.
    """
    x = list(range(len(own)))
    traces = [line(x, [1.0] * len(x), "the data", None, dash="dot", width=1.5)]
    traces += [line(x, list(curve), name, style + 2, width=1, dash="dash") for style, (name, curve) in enumerate(curves.items())]
    traces.append(line(x, list(own), "foretold for this run", 0, dash="dash"))
    traces.append(line(list(range(len(observed))), list(observed), "this run", 1, width=2.5, marked=True))
    y = {"title": {"text": "displacement of class means", "font": {"size": 12}}, "type": "log"}
    return Figure(tuple(traces), layout(generation_axis(len(x) - 1), y, height=380))  # type: ignore[arg-type]


def page(figure: Figure, title: str) -> str:
    """Return a figure as one HTML page that needs no network, with its legend."""
    drawn = go.Figure(figure.to_json())
    drawn.update_layout(title={"text": title, "font": {"size": 14}}, margin={"t": 48}, showlegend=True)
    drawn.update_traces(showlegend=True)
    html: str = drawn.to_html(include_plotlyjs=True, full_html=True)
    return html
