"""Numbers out: the comparison of arms, or every measurement for other programs."""

import sys
from pathlib import Path
from typing import Literal

from germline.core.atomic import replacing
from germline.core.errors import BadInput
from germline.report.compare import caveat, compare
from germline.report.latex import latex
from germline.report.markdown import markdown
from germline.report.printed import print_comparisons, print_rates
from germline.report.rates import rates
from germline.report.tidy import Record, by_data, read, tidy
from germline.verbs.arguments import Paths, print_json, run_folders


def table(
    runs: Paths,
    to: Literal["csv", "parquet", "latex", "markdown"] | None = None,
    out: Path | None = None,
    metrics: tuple[str, ...] = (),
    against: str | None = None,
    json: bool = False,
) -> None:
    """Compare the arms of runs over their seeds, or write every measurement as one tidy table.

    Examples:
      germline table runs/loop
      germline table runs/loop --to csv --out loop.csv
      germline table runs/loop --to latex --metrics coverage entropy
      germline table runs/loop --to markdown --against replace

    Args:
        runs: run folders, or folders that hold some.
        to: csv and parquet have one row a run, generation, metric and seed; latex is a table of arms x generations;
            markdown is the comparison, arms x metrics.
        out: the file; all but parquet are printed when not given.
        metrics: those of the latex table; the headline metrics when not given.
        against: the arm that others are compared with; real-only when not given and there, else the first.
        json: print the comparison as JSON.

    Raises:
        BadInput: no run has a measurement of these names, or a flag does not go with ``to``.
    """
    records = [read(path) for path in run_folders(runs)]
    if not any(any(record.values) for record in records):
        raise BadInput("Nothing was measured of these runs yet. Measure them: germline measure RUN.")
    if to is None:
        if out or metrics:
            raise BadInput("--out and --metrics go with --to: csv, parquet, latex or markdown.")
        return print_comparison(records, against, json)
    if json or (against and to != "markdown"):
        raise BadInput(f"--json and --against are of the comparison; leave out --to {to}.")
    if to == "latex":
        return _write_text(latex_of(records, metrics), out)
    if metrics:
        raise BadInput(f"--metrics is of --to latex; {to} has its own, choose among them.")
    if to == "markdown":
        return _write_text("\n".join(markdown(compare(same, against)) for same in by_data(records)), out)
    write_tidy(records, to, out)


def print_comparison(records: list[Record], against: str | None, json: bool) -> None:
    """Print the comparison of the arms and how fast they collapse, for each data set by itself."""
    groups = [(compare(same, against), rates(same)) for same in by_data(records)]
    if json:
        print_json(
            [
                {"comparisons": [c.to_json() for c in found], "caveat": caveat(found), "collapse_rates": [one.to_json() for one in slopes]}
                for found, slopes in groups
            ]
        )
    else:
        for found, slopes in groups:
            print_comparisons(found)
            print_rates(slopes)


def latex_of(records: list[Record], metrics: tuple[str, ...]) -> str:
    """Return the LaTeX table.

    Raises:
        BadInput: the runs are of several data sets, or none has a metric of these names.
    """
    if len(by_data(records)) > 1:
        raise BadInput("These runs are of several data sets, whose numbers do not stand in one table; name the runs of one.")
    known = sorted({value.name for record in records for values in record.values for value in values if value.of == "samples"})
    if unknown := [name for name in metrics if name not in known]:
        raise BadInput(f"{', '.join(unknown)} was not measured of the samples of these runs. There are: {', '.join(known)}.")
    return latex(records, metrics)


def write_tidy(records: list[Record], to: Literal["csv", "parquet"], out: Path | None) -> None:
    """Write every measurement.

    Raises:
        BadInput: Parquet without a file.
    """
    import pyarrow.csv
    import pyarrow.parquet

    rows = tidy(records)
    if out is None:
        if to == "parquet":
            raise BadInput("Parquet is not for a terminal; give --out FILE.")
        pyarrow.csv.write_csv(rows, sys.stdout.buffer)
        return
    with replacing(out) as temporary:
        (pyarrow.csv.write_csv if to == "csv" else pyarrow.parquet.write_table)(rows, temporary)
    print(f"{out}: {len(rows):,} rows")


def _write_text(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    with replacing(out) as temporary:
        temporary.write_text(text)
    print(f"{out}: {len(text.splitlines()):,} lines")
