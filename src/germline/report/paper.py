"""Figures for a paper, as PDF and SVG at the widths of a column and of a text: what the page shows, drawn by matplotlib."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from germline.chain import Chain
from germline.core.atomic import write_bytes
from germline.core.errors import MissingExtra
from germline.core.intervals import ENOUGH
from germline.core.progress import Progress, silent
from germline.core.splits import Splits
from germline.report import drawn, glossary
from germline.report.arms import Group, groups
from germline.report.composition import Composition, compositions
from germline.report.curves import Series, heading, measured_on, series_of
from germline.report.grids import class_lines
from germline.report.law import Law, laws
from germline.report.plate import plan, plate
from germline.report.sheet import Sheet, sheet

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, TEXT = 3.3, 6.8  # inches
LETTER, HANDLE, WRAP = 0.052, 0.48, 27  # inches of a letter of a legend and of what stands before it; letters along an upright axis
ABREAST = 4  # compositions side by side; cells of a grid that fit into a column
STYLE = {
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "germline",  # names of parts of an SVG, else random
    "text.parse_math": False,  # an arm's name may hold a dollar
    "font.size": 8,
    "axes.titlesize": 7,
    "axes.titlepad": 3,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "hatch.linewidth": 0.4,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "legend.columnspacing": 1,
}
# The date is left out: equal runs give equal bytes.
ENDINGS: dict[str, dict[str, str | None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True, eq=False)
class Sketch:
    """A figure before it is drawn: its file's name, width and height in inches, what to say under it, and who draws it."""

    name: str
    size: tuple[float, float]
    caption: str
    draw: Callable[[Figure], None]
    png: bytes | None = None


def write_figures(runs: Sequence[tuple[str, Chain, Splits]], folder: Path, progress: Progress = silent) -> list[Path]:
    """Write the figures about ``runs``, (name, chain, data) each, and a file of captions to ``folder``; return the files.

    Runs of equal parts and different seeds are one arm. Runs on different data sets have figures of their own, whose names begin with
    the number of the set.

    Raises:
        BadInput: there is no run, or a run has no finished generation.
        MissingExtra: matplotlib is not installed.
        GermlineError: a file cannot be written.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtra("Figures for papers need matplotlib; install it with: pip install 'germline[figures]'") from error
    found = groups(runs)
    prefixes = [f"{i}-" if len(found) > 1 else "" for i in range(1, len(found) + 1)]
    files: dict[str, bytes] = {}
    captions = []
    with matplotlib.rc_context(), progress("figures", len(found)) as advance:
        matplotlib.rcdefaults()  # not the user's own style: equal runs give equal bytes
        matplotlib.rcParams.update(STYLE)
        for prefix, group in zip(prefixes, found, strict=True):
            for sketch in sketches(group):
                files |= {f"{prefix}{sketch.name}.{ending}": data for ending, data in render(sketch).items()}
                captions.append(f"{prefix}{sketch.name}: {sketch.caption}\n")
            advance(1)
    files["captions.txt"] = "\n".join(captions).encode()
    for name, data in files.items():
        write_bytes(folder / name, data)
    return [folder / name for name in files]


def render(sketch: Sketch) -> dict[str, bytes]:
    """Return a figure's files by ending."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=sketch.size)
    sketch.draw(figure)
    files = {} if sketch.png is None else {"png": sketch.png}
    for ending, metadata in ENDINGS.items():
        file = io.BytesIO()
        figure.savefig(file, format=ending, metadata=metadata)
        files[ending] = file.getvalue()
    return files


def sketches(group: Group) -> list[Sketch]:
    """Return the figures of a group: the metrics that changed, the law, what the training sets are made of, the same-seed grid."""
    found = series_of(group)
    composed, picture = compositions(group), sheet(group)
    return [
        *(_curves(series, group, found) for series in found if series.constant is None),
        *(_law(law, group) for law in laws(group)),
        *([_composition(composed, group)] if composed else []),
        _grid(picture, group),
    ]


def label(series: Series, found: Sequence[Series]) -> str:
    """Return a metric's heading, its features where another metric has the same, and an arrow to where it is better."""
    text = heading(series, found, ("k",))
    alike = {other.key.name for other in found if heading(other, found, ("k",)) == text}
    features = f" ({series.key.extractor or series.key.name})" if len(alike) > 1 else ""
    return text + features + {"low": " ↓", "high": " ↑"}.get((series.better or "").removesuffix("er"), "")


def _curves(series: Series, group: Group, found: Sequence[Series]) -> Sketch:
    title, key = label(series, found), series.key
    held = [arm for arm in group.arms if any(series.of(series.main, run) for run in arm.runs)]
    meaning = glossary.entry(key.name).meaning
    seeds = " to ".join(dict.fromkeys((str(min(map(len, held))), str(max(map(len, held))))))
    lines = "Lines: means over" if max(map(len, held)) > 1 else "Lines:"
    lines += f" {seeds} seed{'s' * (seeds != '1')}."
    lines += " Bands: 95 % t-interval over seeds." if max(map(len, held)) >= ENOUGH else ""
    lines += " Thin lines: single seeds, where there are fewer than three." if any(1 < len(arm) < ENOUGH for arm in held) else ""
    if series.points.get("reference"):
        lines += " Dashed, without markers: real images" + (", which differ by arm." if series.level is None else ".")
    facts = "; ".join(measured_on(series, (series.main, "reference")))
    name = _slug(key.name, *_apart(series, found))
    caption = " ".join(filter(None, [f"{title}.", meaning, f"{facts}." if facts else "", lines]))

    def draw(axes: Axes) -> None:
        drawn.curves(axes, series, group)
        axes.set_ylabel(textwrap.fill(title, WRAP))

    return _small(name, caption, [*(arm.name for arm in held), *["real images"] * (series.level is not None)], draw)


def _apart(series: Series, found: Sequence[Series]) -> list[str]:
    """Return what tells a series apart from others of its name."""
    same, key = [other.key for other in found if other.key.name == series.key.name], series.key
    facts = {what: (getattr(key, what), {getattr(other, what) for other in same}) for what in ("extractor", "k", "d", "n")}
    return [f"{'' if what == 'extractor' else what}{value}" for what, (value, all_values) in facts.items() if len(all_values) > 1]


def _law(found: Law, group: Group) -> Sketch:
    caption = (
        f"{found.spoken} Features: {found.extractor}, d = {found.d}. The null line is what neighbour distances alone would draw:"
        " slope 1 / (d ln 10) a nat."
    )
    names = [arm.name for arm in group.arms if any(point.run in arm.runs for point in found.points)]
    draw = partial(drawn.law, found=found, group=group)
    return _small(_slug("law", found.extractor, f"d{found.d}"), caption, [*names, "null line"], draw)


def _small(name: str, caption: str, labels: Sequence[str], draw: Callable[[Axes], None]) -> Sketch:
    """Return a figure of one column with its legend below; ``labels`` say how much room that takes."""
    abreast = max(1, min(len(labels), int((COLUMN + 0.1) / (HANDLE + LETTER * max(map(len, labels))))))

    def whole(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        draw(axes)
        figure.legend(*_entries([axes]), loc="outside lower center", ncols=abreast)

    return Sketch(name, (COLUMN, 2.2 + 0.15 * -(-len(labels) // abreast)), caption, whole)


def _composition(found: Sequence[Composition], group: Group) -> Sketch:
    abreast = min(ABREAST, len(found))
    lines = -(-len(found) // abreast)

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        grid = figure.subplots(lines, abreast, sharex=True, sharey=True, squeeze=False)
        every = list(grid.flat)
        for axes, one in zip(every, found, strict=False):
            drawn.composition(axes, one, group.last)
        for axes in every[len(found) :]:
            axes.set_axis_off()
        for i, axes in enumerate(every[: len(found)]):
            axes.tick_params(labelbottom=i + abreast >= len(found))
            axes.set_xlabel("generation" if i + abreast >= len(found) else "")
            axes.set_ylabel("training rows, %" if i % abreast == 0 else "")
        handles, names = _entries(every[: len(found)])
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 6))

    said = " ".join(f"{one.arm.name}: {one.text}." for one in found)
    width = TEXT if abreast > 2 else COLUMN
    return Sketch("composition", (width, 0.6 + 1.15 * lines), f"What the training sets are made of, by generation of origin. {said}", draw)


def _grid(found: Sheet, group: Group) -> Sketch:
    width = COLUMN if len(found.generations) + 1 <= ABREAST else TEXT
    file = io.BytesIO()
    found.image.save(file, "PNG")
    places = "; ".join(class_lines(found.conditions, found.columns))
    caption = f"The same seed and row numbers in the same place of every cell. Lines of a cell: {places}."
    draw = partial(plate, sheet=found, group=group)
    return Sketch("grid", (width, plan(found, group, width).height), caption, draw, file.getvalue())


def _entries(axes: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Return handles and names of a legend, each name once."""
    found = {name: handle for one in axes for handle, name in zip(*one.get_legend_handles_labels(), strict=True)}
    return list(found.values()), list(found)


def _slug(*words: str) -> str:
    return "-".join(re.sub(r"[^A-Za-z0-9.@]+", "-", word).strip("-") for word in words)
