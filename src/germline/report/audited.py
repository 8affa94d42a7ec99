"""The page of an audit: the verdict, a word for every question, tables and pictures. It needs no script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from germline.core.atomic import write_bytes
from germline.report.rendered import rendered
from germline.report.tables import Facts, Table


@dataclass(frozen=True)
class Answer:
    """A question, its level ("good", "look", "bad" or "unknown"), what was found, and advice or ""."""

    about: str
    level: str
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Picture:
    """One picture, or a pair in one, as a data URI; a caption of short lines; what a screen reader says."""

    uri: str
    caption: tuple[str, ...]
    spoken: str


@dataclass(frozen=True)
class Gallery:
    """Pictures under a heading; ``wide`` where a picture is a pair."""

    title: str
    pictures: tuple[Picture, ...]
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A heading, sentences, a table and galleries, where there are any."""

    title: str
    text: str
    table: Table | None = None
    galleries: tuple[Gallery, ...] = ()


@dataclass(frozen=True)
class Page:
    """Everything that the page shows."""

    title: str
    lead: str
    level: str
    verdict: str
    answers: tuple[Answer, ...]
    sections: tuple[Section, ...]
    facts: tuple[Facts, ...]


def write(page: Page, out: Path) -> None:
    """Write the page: one file that needs no network.

    Raises:
        GermlineError: the file cannot be written.
    """
    write_bytes(out, rendered("audited.html", {"page": page}).encode())
