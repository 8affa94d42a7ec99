"""Entropy against the logarithm of the generalisation score, beside the line that neighbour distances alone would draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from germline.core.digest import Json
from germline.core.measurement import Measurement
from germline.report.arms import Group, Run
from germline.report.figures import Figure, layout, line, scatter
from germline.report.text import number


@dataclass(frozen=True)
class Point:
    """One generation of a run: entropy of S_g in nats, log10 of GS, and log10 of S_g's own mean neighbour distance."""

    run: Run
    generation: int
    entropy: float
    log_gs: float
    log_mnnd: float


@dataclass(frozen=True)
class Law:
    """All points measured in one space of ``d`` features, with the null line log10 GS = ``constant`` + ``slope`` H."""

    extractor: str
    d: int
    points: tuple[Point, ...]
    slope: float
    constant: float
    figure: Figure

    @property
    def spoken(self) -> str:
        """The figure in words."""
        off = [point.log_gs - self.constant - self.slope * point.entropy for point in self.points]
        return (
            f"log10 of the generalisation score against entropy, {len(off)} generations; they lie between {number(min(off))} and"
            f" {number(max(off))} above the null line of slope {self.slope:.3g}."
        )


def null_slope(d: int) -> float:
    """Return the slope of log10 GS over H, 1 / (d ln 10) a nat, if GS were the set's own mean neighbour distance.

    From H = const + d mean log r. It holds up to the gap between the arithmetic and the geometric mean of r, for distances that are
    Euclidean; a mean squared distance has twice this slope.

    Source: Ours, the null model of the law claimed in arXiv 2509.16499, Section 3.
    """
    return 1 / (d * math.log(10))


def laws(group: Group) -> list[Law]:
    """Return a law for every extractor in which entropy, GS and neighbour distances of the samples were all measured."""
    found: dict[tuple[str, int], list[Point]] = {}
    for arm in group.arms:
        for run in arm.runs:
            for generation, values in enumerate(run.values):
                for entropy in values:
                    if entropy.name == "entropy" and entropy.of == "samples" and entropy.extractor and entropy.d:
                        gs, mnnd = (_like(entropy, values, name) for name in ("generalisation_score", "mnnd"))
                        if gs and mnnd:
                            point = Point(run, generation, entropy.value, math.log10(gs), math.log10(mnnd))
                            found.setdefault((entropy.extractor, entropy.d), []).append(point)
    return [_law(group, extractor, d, points) for (extractor, d), points in found.items()]


def _like(entropy: Measurement, values: Sequence[Measurement], name: str) -> float | None:
    """Return the value of this name on the samples in the entropy's space; None where there is none above 0."""
    same = (v for v in values if (v.name, v.of, v.extractor, v.d) == (name, "samples", entropy.extractor, entropy.d))
    return next((v.value for v in same if v.value > 0), None)


def _law(group: Group, extractor: str, d: int, points: Sequence[Point]) -> Law:
    slope = null_slope(d)
    constant = fmean(point.log_mnnd - slope * point.entropy for point in points)
    low, high = min(p.entropy for p in points), max(p.entropy for p in points)
    traces = [line([low, high], [constant + slope * h for h in (low, high)], "null line", None, width=1.5, dash="dash")]
    for arm in group.arms:
        here = [point for point in points if point.run in arm.runs]
        hover = [f"{arm.name}, seed {p.run.seed}, generation {p.generation}" for p in here]
        if here:
            traces.append(scatter([p.entropy for p in here], [p.log_gs for p in here], arm.name, arm.style, hover))
    x_axis: dict[str, Json] = {"title": {"text": "entropy of the samples, nats", "standoff": 6, "font": {"size": 12}}, "zeroline": False}
    y_axis: dict[str, Json] = {"title": {"text": "log10 GS", "font": {"size": 12}}}
    return Law(extractor, d, tuple(points), slope, constant, Figure(tuple(traces), layout(x_axis, y_axis, height=340)))
