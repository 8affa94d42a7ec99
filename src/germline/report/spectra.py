"""The radial power spectrum of every arm's first and last images, beside that of real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from germline.core.digest import Json
from germline.core.measurement import Measurement
from germline.report.arms import Arm, Group
from germline.report.figures import Figure, layout, line

METRIC = "high_frequency"  # whose curve is the spectrum
Curve = tuple[float, ...]


@dataclass(frozen=True)
class Spectra:
    """The figure, and what it shows in words."""

    figure: Figure
    spoken: str


def spectra(group: Group) -> Spectra | None:
    """Return the spectra of the last generation (solid) and of generation 0 (dotted) of every arm, means over seeds; None unmeasured."""
    side = min(group.data.image_shape[:2])
    real = _mean([curve for arm in group.arms for curve in _curves(arm, "reference", 0)[:1]])
    drawn: list[tuple[Arm, Curve, Curve]] = []
    for arm in group.arms:
        first, last = (_mean(_curves(arm, "samples", generation)) for generation in (0, arm.length - 1))
        if first and last:
            drawn.append((arm, first, last))
    if not drawn or not real:
        return None
    traces = [_trace(real, side, "real images", None, dash="dash", width=1.5)]
    for arm, first, last in drawn:
        traces += [_trace(first, side, f"{arm.name}, generation 0", arm.style, dash="dot", width=1)] if arm.length > 1 else []
        traces.append(_trace(last, side, f"{arm.name}, generation {arm.length - 1}", arm.style, dash="solid", width=2))
    x: dict[str, Json] = {"title": {"text": "cycles a pixel", "standoff": 6, "font": {"size": 12}}, "zeroline": False, "range": [0, 0.51]}
    y: dict[str, Json] = {"type": "log", "dtick": "D2", "title": {"text": "power", "font": {"size": 12}}}
    return Spectra(Figure(tuple(traces), layout(x, y, height=340)), _spoken(drawn, real))


def _curves(arm: Arm, of: str, generation: int) -> list[Curve]:
    """Return the spectra of a generation, one a seed that has it."""
    found: list[Measurement] = [
        value
        for run in arm.runs
        if generation < len(run.values)
        for value in run.values[generation]
        if (value.name, value.of) == (METRIC, of)
    ]
    return [value.curve for value in found if value.curve]


def _mean(curves: Sequence[Curve]) -> Curve:
    return tuple(map(fmean, zip(*curves, strict=True)))


def _trace(curve: Curve, side: int, name: str, style: int | None, dash: str, width: float) -> dict[str, Json]:
    x = [(i + 1) / side for i in range(len(curve))]
    made = line(x, list(curve), name, style, width=width, dash=dash)
    return {**made, "hovertemplate": "%{fullData.name}<br>%{x:.3~g} cycles a pixel: %{y:.3~g}<extra></extra>"}


def _spoken(drawn: Sequence[tuple[Arm, Curve, Curve]], real: Curve) -> str:
    """Return how the finest detail compares with that of real images."""
    said = [f"{arm.name} {last[-1] / real[-1]:.2g} times" for arm, _, last in drawn if real[-1] > 0]
    return f"Radial power spectra. At the highest frequency the last generation has the power of real images: {', '.join(said)}."
