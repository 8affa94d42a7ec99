"""The page of a study by people: shares with their intervals, tables, and the raters' records. It needs no script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from germline.core.atomic import write_bytes
from germline.report.rendered import rendered
from germline.report.tables import Facts, Table


@dataclass(frozen=True)
class Bar:
    """A share from 0 to 1 with its interval, where there is one."""

    name: str
    share: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Panel:
    """A heading, a sentence, bars on one line from 0 to 100 %, and a table; ``even`` is the share that means no difference."""

    title: str
    text: str
    bars: tuple[Bar, ...]
    table: Table | None
    even: float | None = None


@dataclass(frozen=True)
class Page:
    """Everything that the page shows."""

    title: str
    lead: str
    panels: tuple[Panel, ...]
    facts: tuple[Facts, ...]


def write(page: Page, out: Path) -> None:
    """Write the page: one file that needs no network.

    Raises:
        GermlineError: the file cannot be written.
    """
    write_bytes(out, rendered("voted.html", {"page": page}).encode())
