"""Measurements and parts as tables on a terminal."""

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from germline.core.digest import Json
from germline.core.measurement import Measurement
from germline.core.verdict import MEANING, Verdict
from germline.report.effective import effective
from germline.report.glossary import rank

console = Console(width=None if sys.stdout.isatty() else 120)
ASIDE = (
    "mnnd",
    "entropy_copies",
    "density",
    "effective_rank",
    "variance",
    "duplicates",
    "training_copies",
    "class_entropy",
    "mean",
    "std",
    "kurtosis",
    "neighbour_correlation",
    "high_frequency",
    "fingerprint_ratio",
)  # in the table only
Rows = Sequence[tuple[int, Sequence[Measurement]]]


def label(measurement: Measurement) -> str:
    """Return a measurement's name with the features it was measured in, and the number of neighbours where that is not 1."""
    plain = measurement.extractor is None or "-" in measurement.name
    neighbours = "" if measurement.k in (None, 1) else f", k = {measurement.k}"
    return f"{measurement.name}{'' if plain else f', {measurement.extractor}'}{neighbours}"


def one_line(number: int, values: Sequence[Measurement]) -> str:
    """Return a generation's main numbers on the samples, one a name, on one line."""
    first = {v.name: v for v in reversed(values) if v.of == "samples" and v.name not in ASIDE}
    return f"generation {number}: " + "  ".join(f"{v.name} {v.value:.4g}" for v in reversed(first.values()))


def print_measurements(title: str, rows: Rows) -> None:
    """Print a line a measurement, a column a generation, and what real data gives at the last one; in parts, where one is too wide."""
    every = sorted((value for _, values in rows for value in values), key=lambda value: rank(value.name))
    lines: list[tuple[str, list[str]]] = []
    for name in dict.fromkeys(label(value) for value in every):
        cells = {of: [_cell(values, name, of) for _, values in rows] for of in ("samples", "training", "reference")}
        for of in ("samples", "training"):
            if any(cells[of]):
                here = name if of == "samples" or not any(cells["samples"]) else "  of T_g"
                lines.append((here, [*cells[of], cells["reference"][-1] if of == "samples" else ""]))
    heads = [*(f"gen {number}" for number, _ in rows), "real"]
    for part in _parts(lines, heads):
        table = Table(title=title, title_justify="left")
        table.add_column("", no_wrap=True)
        for head in heads[part]:
            table.add_column(head, justify="right", no_wrap=True, style="dim" if head == "real" else None)
        for name, texts in lines:
            table.add_row(name, *texts[part])
        console.print(table)


def _parts(lines: Sequence[tuple[str, Sequence[str]]], heads: Sequence[str]) -> list[slice]:
    """Return the columns of each table, so few that they fit beside the names: a number that is cut off is worse than a second table."""
    border = 3
    beside = console.width - max((len(name) for name, _ in lines), default=0) - border - 1
    widest = max(len(text) for text in [*heads, *(text for _, texts in lines for text in texts)])
    tables = -(-len(heads) // max(1, beside // (widest + border)))
    each = -(-len(heads) // tables)
    return [slice(start, start + each) for start in range(0, len(heads), each)]


def print_verdict(title: str, verdict: Verdict) -> None:
    """Print the word, and a line an axis: what was measured, from where to where, its trend with an interval, and since when."""
    since = "" if verdict.since is None else f" since generation {verdict.since}"
    table = Table(title=f"{title}: [bold]{verdict.word}[/bold]{since}; best generation {verdict.best}", title_justify="left")
    for head in ("", "says", "by", "first", "last", "a generation, 95 %", "level changes at", "real"):
        table.add_column(head, no_wrap=head != "by")
    for axis in verdict.axes:
        trend = f"{axis.trend:+.3g} [{axis.trend_low:+.3g}, {axis.trend_high:+.3g}]"
        change = "" if axis.change is None else f"{axis.change} [{axis.change_low}, {axis.change_high}]"
        real = "" if axis.reference is None else f"{axis.reference:.3g}"
        ends = (f"{axis.values[0]:.3g}", f"{axis.values[-1]:.3g}")
        table.add_row(axis.name, axis.says, axis.measure, *ends, trend, change, real)
    console.print(table)
    console.print(f"  {verdict.word}: {MEANING[verdict.word]}")
    for reason in verdict.because:
        console.print(f"  {reason}")


def print_columns(title: str, columns: Mapping[int, Mapping[str, Json]]) -> None:
    """Print a line a number, a column a generation."""
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for generation in columns:
        table.add_column(f"gen {generation}", justify="right", no_wrap=True)
    for name in next(iter(columns.values())):
        table.add_row(name, *(f"{column[name]:.4g}" for column in columns.values()))
    console.print(table)


def _cell(values: Sequence[Measurement], name: str, of: str) -> str:
    return next((f"{value.value:.4g}" for value in values if value.of == of and label(value) == name), "")


def print_listing(listing: Mapping[str, Mapping[str, str]]) -> None:
    """Print groups of names with a line of text each."""
    for kind, entries in listing.items():
        table = Table(title=f"[bold]{kind}[/bold]", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 2))
        for name, text in entries.items():
            table.add_row(name, text)
        if not entries:
            table.add_row("none yet", "")
        console.print(table, "")


def print_parts(title: str, parts: Json, names: Json = None) -> None:
    """Print the parts of a recipe, one a line, with their fields, and what a guidance schedule amounts to."""
    table = Table(title=title, title_justify="left", show_header=False)
    assert isinstance(parts, dict)
    for name, part in parts.items():
        if name not in ("part", "version") and part not in (None, [], ""):
            table.add_row(name, part_text(part))
    if (guidance := effective(parts, names)) is not None:
        table.add_row("s_eff", guidance.text)
    console.print(table)


def part_text(part: Json) -> str:
    """Return a part as it would be written in Python, defaults included."""
    if isinstance(part, list):
        return f"({', '.join(part_text(item) for item in part)})"
    if isinstance(part, dict) and "part" in part:
        fields = ", ".join(f"{key}={part_text(value)}" for key, value in part.items() if key not in ("part", "version"))
        return f"{str(part['part']).rsplit(':', 1)[1]}({fields})"
    return str(part)
