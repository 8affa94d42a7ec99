"""One small figure a metric: every arm over the generations, beside the level of real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from germline.core.digest import Json
from germline.core.intervals import ENOUGH, Interval, over_seeds
from germline.core.measurement import Measurement
from germline.report import glossary
from germline.report.arms import Arm, Group, Run
from germline.report.figures import Figure, band, colour, generation_axis, layout, line
from germline.report.text import count, number

FAINT = 0.4  # opacity of single seeds where a band shows how far they spread
BAND, BANDS = 0.16, 0.6  # opacity of a band at most, and of all bands together
Points = dict[int, Measurement]  # by generation


@dataclass(frozen=True)
class Key:
    """What must be equal for two values to be compared. ``n`` is that of the samples; None where training sets are measured, which grow."""

    name: str
    extractor: str | None
    k: int | None
    d: int | None
    n: int | None


@dataclass
class Series:
    """All values of one metric that may be compared: points of every run for samples, training sets and real data."""

    key: Key
    main: str
    better: str | None
    points: dict[str, dict[Run, Points]] = field(default_factory=dict)

    def of(self, what: str, run: Run) -> Points:
        """Return the points of a run; none where it was not measured."""
        return self.points.get(what, {}).get(run, {})

    def mean(self, arm: Arm, generation: int) -> float | None:
        """Return the mean over an arm's seeds, None where a seed is missing."""
        points = [self.of(self.main, run).get(generation) for run in arm.runs]
        values = [point.value for point in points if point is not None]
        return fmean(values) if len(values) == len(arm.runs) else None

    def interval(self, arm: Arm, generation: int) -> Interval | None:
        """Return the mean over an arm's seeds with its t-interval, None where a seed is missing."""
        points = [self.of(self.main, run).get(generation) for run in arm.runs]
        values = [point.value for point in points if point is not None]
        return over_seeds(values) if len(values) == len(arm.runs) else None

    def ends(self, arm: Arm) -> tuple[float, float] | None:
        """Return the arm's first and last value (the means over its seeds)."""
        values = [value for g in range(arm.length) if (value := self.mean(arm, g)) is not None]
        return (values[0], values[-1]) if values else None

    @property
    def constant(self) -> float | None:
        """The value, where every arm had the same in every generation."""
        points = [points for runs in self.points.values() for points in runs.values()]
        values = {point.value for at in points for point in at.values()}
        return values.pop() if len(values) == 1 and max(map(len, points)) > 1 else None

    @property
    def level(self) -> float | None:
        """The level of real images, where all runs agree on it."""
        values = [point.value for points in self.points.get("reference", {}).values() for point in points.values()]
        agree = bool(values) and max(values) - min(values) <= 1e-3 * max(map(abs, values))
        return values[0] if agree else None

    def reference(self) -> str:
        """Return the last level of real images: one number, a range where it differs between runs, nothing where it was not measured."""
        levels = [points[max(points)].value for points in self.points.get("reference", {}).values() if points]
        low, high = (number(min(levels)), number(max(levels))) if levels else ("", "")
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Panel:
    """A figure with its texts; ``only`` names the arms that it holds, where others were measured on another number of rows, or not at all.

    Panels of one ``metric`` differ in the number of samples only.
    """

    metric: str
    title: str
    direction: str
    meaning: str
    conditions: str
    spoken: str
    figure: Figure
    n: int | None
    only: str
    arms: int


def series_of(group: Group) -> list[Series]:
    """Return every comparable series of a group, in the order measured."""
    runs = [run for arm in group.arms for run in arm.runs]
    seen = [(run, g, value) for run in runs for g, values in enumerate(run.values) for value in values]
    measured: dict[tuple[str, str | None, int | None, int | None], set[str]] = {}
    for _, _, value in seen:
        measured.setdefault(_bare(value), set()).add(value.of)
    found: dict[Key, Series] = {}
    for run, g, value in seen:
        kinds = measured[_bare(value)]
        main = next((kind for kind in ("samples", "training") if kind in kinds), value.of)
        if value.of == main:
            key = Key(*_bare(value), _size(run, value) if main == "samples" else None)
            series = found.setdefault(key, Series(key, main, value.better))
            series.points.setdefault(main, {}).setdefault(run, {})[g] = value
    for run, g, value in seen:
        for series in found.values():
            key = series.key
            beside = _bare(value) == (key.name, key.extractor, key.k, key.d) and value.of != series.main
            if beside and run in series.points[series.main]:
                series.points.setdefault(value.of, {}).setdefault(run, {})[g] = value
    return sorted(found.values(), key=lambda series: glossary.rank(series.key.name))


def heading(series: Series, found: Sequence[Series], by: Sequence[Literal["k", "n"]] = ("k", "n")) -> str:
    """Return a metric's title, with what tells it apart where two series share a name."""
    key, title = series.key, glossary.title(series.key.name)
    same = [other.key for other in found if other.key.name == key.name]
    apart = [str(key.extractor)] if len({other.extractor for other in same}) > 1 else []
    apart += [f"{what} = {getattr(key, what)}" for what in by if len({getattr(other, what) for other in same}) > 1]
    return f"{title} ({', '.join(apart)})" if apart else title


def panels(group: Group) -> list[Panel]:
    """Return the figures of a group, of those metrics that changed at all."""
    found = series_of(group)
    drawn = [series for series in found if series.constant is None]
    return [_panel(series, group, heading(series, found, ("k",)), heading(series, found)) for series in drawn]


def joined(found: Sequence[Panel]) -> list[tuple[Panel, ...]]:
    """Return the panels of each metric together, those of most arms first."""
    same: dict[str, list[Panel]] = {}
    for panel in found:
        same.setdefault(panel.metric, []).append(panel)
    return [tuple(sorted(panels, key=lambda panel: -panel.arms)) for panels in same.values()]


def constants(group: Group) -> list[str]:
    """Return a sentence for each metric that had one value everywhere."""
    found = series_of(group)
    same: dict[str, list[Series]] = {}
    for series in found:
        same.setdefault(heading(series, found, ("k",)), []).append(series)
    said = []
    for metric, together in same.items():
        levels = {heading(series, found): series.constant for series in together}
        if len(set(levels.values())) == 1:
            levels = {metric: together[0].constant}
        said += [f"{title}: {number(value)} in every arm and generation." for title, value in levels.items() if value is not None]
    return said


def _bare(value: Measurement) -> tuple[str, str | None, int | None, int | None]:
    return value.name, value.extractor, value.k, value.d


def _size(run: Run, value: Measurement) -> int | None:
    """Return on how many samples a metric is measured in a run; where copies are left out, that number varies, and all are meant."""
    sizes = {v.n for values in run.values for v in values if v.of == value.of and _bare(v) == _bare(value)}
    return value.n if len(sizes) == 1 else len(run.generations[0].samples)


def _panel(series: Series, group: Group, metric: str, title: str) -> Panel:
    traces = _references(series, group)
    held = [arm for arm in group.arms if any(series.of(series.main, run) for run in arm.runs)]
    for arm in held:
        traces += _arm(series, arm, len(held))
    y: dict[str, Json] = {"rangemode": "tozero" if _positive(series) else "normal"}
    figure = Figure(tuple(traces), layout(generation_axis(group.last), y, height=230))
    return Panel(
        metric=metric,
        title=title,
        direction=glossary.direction(series.better),
        meaning=glossary.entry(series.key.name).meaning,
        conditions=_conditions(series, group),
        spoken=_spoken(series, group),
        figure=figure,
        n=series.key.n,
        only="" if len(held) == len(group.arms) else ", ".join(arm.name for arm in held),
        arms=len(held),
    )


def _arm(series: Series, arm: Arm, arms: int) -> list[dict[str, Json]]:
    """Return the lines of one of ``arms`` arms: thin ones for its training sets and for single seeds, the mean in full."""
    traces = []
    for run in arm.runs:
        training = series.of("training", run) if series.main != "training" else {}
        if training and run is arm.shown:
            label = f"{arm.name}, training set"
            traces.append(line(list(training), [v.value for v in training.values()], label, arm.style, width=1, dash="dot"))
        points = series.of(series.main, run)
        if points and len(arm) > 1:
            single = line(list(points), [v.value for v in points.values()], f"{arm.name}, seed {run.seed}", arm.style, width=0.7)
            traces.append({**single, "opacity": FAINT} if len(arm) >= ENOUGH else single)
    traces = [*_band(series, arm, arms), *traces]
    means = {g: value for g in range(arm.length) if (value := series.mean(arm, g)) is not None}
    if means:
        label = arm.name if len(arm) == 1 else f"{arm.name}, mean of {len(arm)} seeds"
        bounds = _bounds(series.of(series.main, arm.shown)) if len(arm) == 1 else None
        traces.append(line(list(means), list(means.values()), label, arm.style, marked=True, bounds=bounds))
    return traces


def _band(series: Series, arm: Arm, arms: int) -> list[dict[str, Json]]:
    """Return the t-interval over the seeds as a band, the paler the more arms there are; nothing under three seeds."""
    intervals = {g: found for g in range(arm.length) if (found := series.interval(arm, g)) is not None}
    ends = {g: (one.low, one.high) for g, one in intervals.items() if one.low is not None and one.high is not None}
    if not ends:
        return []
    drawn = band(list(ends), [low for low, _ in ends.values()], [high for _, high in ends.values()], arm.style)
    return [{**drawn, "fillcolor": f"{colour(arm.style)}{round(255 * min(BAND, BANDS / arms)):02x}"}]


def _bounds(points: Points) -> list[tuple[float, float]] | None:
    bounds = [(point.low, point.high) for point in points.values() if point.low is not None and point.high is not None]
    return bounds if bounds and len(bounds) == len(points) else None


def _references(series: Series, group: Group) -> list[dict[str, Json]]:
    """Return one dashed level where all runs agree on it, else one in each arm's colour."""
    levels = {run: points for run, points in series.points.get("reference", {}).items() if points}
    if (level := series.level) is not None:
        return [line([-1, group.last + 1], [level, level], "real images", None, width=1.5, dash="dash")]
    return [
        line(list(points), [p.value for p in points.values()], f"real images, as measured in {arm.name}", arm.style, width=1, dash="dash")
        for arm in group.arms
        if (points := levels.get(arm.shown))
    ]


def _positive(series: Series) -> bool:
    return all(point.value >= 0 for runs in series.points.values() for points in runs.values() for point in points.values())


def _conditions(series: Series, group: Group) -> str:
    """Return what must be equal to compare, and which lines there are."""
    facts = measured_on(series)
    lines = "Solid: samples." if series.main == "samples" else ""
    lines += " Dotted: training sets." if series.main != "training" and series.points.get("training") else ""
    lines += " Dashed: real images." if series.points.get("reference") else ""
    lines += " Bands: 95 % t-interval over seeds; thin lines: single seeds." if group.most_seeds >= ENOUGH else ""
    noisy = any(len(arm) == 1 and _bounds(series.of(series.main, arm.shown)) for arm in group.arms)
    lines += " Whiskers: metric noise of one seed, not the spread of seeds." if noisy else ""
    return f"{'; '.join(facts)}. {lines}".strip(". ").strip() + "." if facts or lines else ""


def measured_on(series: Series, kinds: Sequence[str] = ("samples", "training", "reference")) -> list[str]:
    """Return what must be equal to compare, in words: numbers of rows, features, k and d."""
    key = series.key
    names = {"samples": "samples", "training": "training rows", "reference": "real rows"}
    facts = [f"{rows} {names[what]}" for what in kinds if (rows := _rows(series, what))]
    facts += [f"features: {key.extractor}"] if key.extractor else []
    facts += [f"k = {key.k}"] if key.k is not None else []
    facts += [f"d = {key.d}"] if key.d is not None else []
    return facts


def _rows(series: Series, what: str) -> str:
    sizes = [p.n for points in series.points.get(what, {}).values() for p in points.values() if p.n is not None]
    if not sizes:
        return ""
    return count(sizes[0]) if min(sizes) == max(sizes) else f"{count(min(sizes))} to {count(max(sizes))}"


def _spoken(series: Series, group: Group) -> str:
    """Return the figure in words, for those who do not see it."""
    said: Sequence[str] = [
        f"{arm.name} from {number(ends[0])} to {number(ends[1])}" for arm in group.arms if (ends := series.ends(arm)) is not None
    ]
    real = f"; real images {level}" if (level := series.reference()) else ""
    return f"{glossary.title(series.key.name)} by generation: {', '.join(said)}{real}."
