"""One static HTML page about runs: what the samples look like, the curves, what is copied, what was trained on, how it was made."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plotly.offline import get_plotlyjs

from germline.chain import Chain
from germline.core.atomic import write_bytes
from germline.core.progress import Advance, Progress, silent
from germline.core.splits import Splits
from germline.core.verdict import Verdict
from germline.report import tables, together
from germline.report.arms import Group, groups
from germline.report.composition import Composition, compositions
from germline.report.contrasts import Contrasts, contrasts
from germline.report.curves import Panel, constants, joined, panels
from germline.report.fingerprints import Fingerprints, fingerprints
from germline.report.grids import Grid, grid
from germline.report.law import Law, laws
from germline.report.neighbours import Gallery, Strip, galleries
from germline.report.rates import rates
from germline.report.rates import table_of as rates_table
from germline.report.rendered import own, rendered
from germline.report.selections import Selections, selections
from germline.report.spectra import Spectra, spectra
from germline.report.spent import Spent
from germline.report.statement import Statement, statement
from germline.report.verdicts import Judgement, judgements
from germline.report.weighed import Weighed, weighed


@dataclass(frozen=True)
class Chapter:
    """Everything that the page shows of one data set."""

    group: Group
    statement: Statement
    judgements: list[Judgement]
    grid: Grid
    panels: list[tuple[Panel, ...]]
    constants: list[str]
    laws: list[Law]
    spectra: Spectra | None
    fingerprints: Fingerprints | None
    rates: tables.Table | None
    contrasts: Contrasts | None
    together: tables.Table | None
    held_out: Strip
    galleries: list[Gallery]
    compositions: list[Composition]
    weighed: list[Weighed]
    selections: Selections | None
    numbers: tables.Table | None
    budgets: tables.Table
    differences: tables.Table | None
    commands: list[str]
    facts: list[tables.Facts]


def write_page(
    runs: Sequence[tuple[str, Chain, Splits]],
    out: Path,
    *,
    verdicts: Mapping[Path, Verdict] | None = None,
    costs: Mapping[Path, Spent] | None = None,
    progress: Progress = silent,
) -> None:
    """Write the page about ``runs``, (name, chain, data) each, to ``out``: one file that needs no network.

    ``verdicts`` are the judge's words by run folder; without them the page has no such section. ``costs`` add network evaluations and
    real rows to the budgets.
    Runs on different data sets become chapters of their own. Runs of equal parts and different seeds are one arm.

    Raises:
        BadInput: there is no run, or a run has no finished generation.
        GermlineError: the file cannot be written.
    """
    found = groups(runs)
    with progress("report", 4 * len(found) + 1) as advance:
        chapters = [_chapter(group, verdicts or {}, costs or {}, 1 / len(found), advance) for group in found]
        write_bytes(out, render(chapters).encode())
        advance(1)


def render(chapters: Sequence[Chapter]) -> str:
    """Return the page as HTML."""
    return rendered("page.html", {"chapters": chapters, "plotly": packed(get_plotlyjs()), "js": own("page.js")})


def packed(text: str) -> str:
    """Return a text as gzip in base64: the curves' library takes a third of its bytes, and the page unpacks it."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _chapter(group: Group, verdicts: Mapping[Path, Verdict], costs: Mapping[Path, Spent], share: float, advance: Advance) -> Chapter:
    said, shown = statement(group), grid(group, share)
    advance(1)
    drawn = joined(panels(group))
    advance(1)
    held_out, gallery = galleries(group, share)
    advance(1)
    composed = compositions(group)
    advance(1)
    return Chapter(
        group=group,
        statement=said,
        judgements=judgements(group, verdicts),
        grid=shown,
        panels=drawn,
        constants=constants(group),
        laws=laws(group),
        spectra=spectra(group),
        fingerprints=fingerprints(group),
        rates=rates_table(rates([run for arm in group.arms for run in arm.runs])),
        contrasts=contrasts(group),
        together=together.table_of(together.correlations(group)),
        held_out=held_out,
        galleries=gallery,
        compositions=composed,
        weighed=weighed(group),
        selections=selections(group, share),
        numbers=tables.numbers(group),
        budgets=tables.budgets(group, costs),
        differences=tables.differences(group),
        commands=tables.commands(group),
        facts=tables.facts(group),
    )
