"""A pool of unknown origin, in words, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from jaxtyping import Float, UInt8

from germline.audit.made_share import MadeShare, caught
from germline.audit.pages import short_name
from germline.audit.share import Unlike
from germline.audit.share_pool import Described, Said, images
from germline.core.digest import Json
from germline.pools.blocks import Fit
from germline.pools.opened import Opened
from germline.report.audited import Answer, Gallery, Page, Picture, Section
from germline.report.pictures import data_uri, small
from germline.report.tables import Facts, Table

NEITHER = (
    "How many of the unmarked rows are made, germline cannot tell: no row is known to be made. Give some of three generators or more, a"
    " sub-folder each: --made DIR."
)
NONE_UNMARKED = "No row without a mark could be read, so none was compared with real ones."
MARKS = "A mark can be removed or copied; none was verified, and a row without one may be made."
TILES, USUAL = 24, 0.05  # pictures of the most and of the least suspicious rows; the share of real rows that is flagged, on the page


def marks_text(found: Said) -> str:
    """Return the counts of marks in words."""
    silent = f"{len(found.unmarked):,} say nothing" + (
        f" ({found.arrays:,} of them are arrays, which carry no mark)" if found.arrays else ""
    )
    return (
        f"Of {found.rows:,} rows {found.made:,} are marked as made, {found.taken:,} as taken by a camera or scanner, {silent},"
        f" {found.unreadable:,} cannot be read."
    ) + (f" Files and folders that hold no rows: {found.no_rows:,}." if found.no_rows else "")


def broken_text(count: int) -> str:
    """Return in words how many unmarked rows could not be looked at; "" of none."""
    return f"Unmarked rows that are no pictures, or damaged, and were not looked at: {count:,}." if count else ""


def unlike_text(found: Said, beside: Unlike | None) -> str:
    """Return the lower bound in words."""
    if not found.unmarked:
        return NONE_UNMARKED
    if beside is None:
        return "Without --real there is nothing to compare the unmarked rows with."
    tested = (
        f"{beside.pool:,} unmarked rows beside {beside.real:,} real ones were tested; shares below {beside.visible:.1%} could not be seen"
    )
    if beside.low == 0:
        return f"No share of the unmarked rows certainly looks unlike the real rows ({tested})."
    return (
        f"At least {beside.low:.1%} of the unmarked rows do not look like the real rows (95 % confidence; {tested})."
        " They may be made, or real ones of another source, size or file format."
    )


def share_text(found: Said, share: MadeShare | None) -> str:
    """Return the made share in words, or that it cannot be told, and why."""
    if not found.unmarked:
        return (
            f"By their marks {found.made:,} of {found.made + found.taken:,} rows are made; no row without a mark is left to be asked about."
        )
    if share is None:
        return NEITHER
    if share.why:
        least = f" At least {share.low:.1%} are, unless the real rows are of another source." if share.low > 0 else ""
        return f"How many of the unmarked rows are made, germline cannot tell: {share.why}.{least}"
    text = (
        f"Of the unmarked rows {share.low:.1%} to {share.high:.1%} are made (95 %), {share.estimate:.1%} most likely, if their real ones"
        " are of the same source as those of --real."
    )
    if found.made:
        every = found.made + len(found.unmarked) + found.taken
        ends = [(found.made + len(found.unmarked) * end) / every for end in (share.low, share.high)]
        text += f" With those that are marked, {ends[0]:.1%} to {ends[1]:.1%} of the pool."
    if share.low == 0 and share.limit is not None:
        text += f" So it may be none: shares below {share.limit:.1%} might not be noticed."
    return text


def to_json(found: Said, beside: Unlike | None, share: MadeShare | None, broken: int | None) -> dict[str, Json]:
    """Return the numbers; ``made_share`` is None where no made row is known, and its ``why`` is not empty where it cannot be told.

    ``broken`` unmarked rows could not be decoded; None where none were looked at.
    """
    marks: dict[str, Json] = {"made": found.made, "taken": found.taken, "none": len(found.unmarked), "arrays": found.arrays}
    kinds: dict[str, Json] = dict(found.kinds)
    unlike: Json = None if beside is None else {**asdict(beside)}
    told: Json = None if share is None else {**asdict(share), "seen": [asdict(one) for one in share.seen]}
    counts: dict[str, Json] = {"rows": found.rows, "no_rows": found.no_rows, "unreadable": found.unreadable, "not_decoded": broken}
    return counts | {"marks": {**marks, "kinds": kinds}, "unlike": unlike, "made_share": told}


def looks(pool: Opened, rows: Described, suspicion: Float[np.ndarray, " n"], fit: Fit) -> tuple[Gallery, ...]:
    """Return the pictures that look most made and least made; none of embeddings."""
    order = np.argsort(-suspicion, kind="stable")
    ends = {"Most like the known made rows": order[:TILES], "Least like them": order[::-1][:TILES]}
    shown = images(pool, tuple(rows.names[row] for some in ends.values() for row in some), fit)
    return tuple(
        Gallery(
            title, tuple(_tile(shown[rows.names[row]], rows.names[row], float(suspicion[row])) for row in some if rows.names[row] in shown)
        )
        for title, some in (ends.items() if shown else ())
    )


def _tile(image: UInt8[np.ndarray, "h w c"], name: str, suspicion: float) -> Picture:
    short = short_name(name)
    return Picture(data_uri(small(image[None])[0]), (short, f"{suspicion:+.1f}"), f"row {short}, suspicion {suspicion:+.1f}")


def page(
    found: Said, beside: Unlike | None, share: MadeShare | None, broken: int | None, looks: Sequence[Gallery], facts: Sequence[Facts]
) -> Page:
    """Return the page."""
    told = share is not None and not share.why
    level = "unknown" if share is None or share.why else "look" if share.low > 0 else "good"
    answers = (
        Answer("Marks", "look" if found.made else "unknown", marks_text(found), MARKS),
        Answer(
            "Unlike the real rows",
            "unknown" if beside is None else "look" if beside.low else "good",
            unlike_text(found, beside),
            broken_text(broken or 0),
        ),
        Answer("Made share", level, share_text(found, share)),
    )
    table = Table(("mark", "rows"), tuple((kind, f"{count:,}") for kind, count in found.kinds))
    text = "What the files say of themselves; a row may carry several marks." if found.kinds else "No file carries a mark."
    sections = [Section("Marks", text, table if found.kinds else None)]
    if share is not None and any(one.visibility is not None for one in share.seen):
        sections.append(_known(share))
    if looks:
        about = (
            "Unmarked rows, sorted by a classifier that tells the known made rows from the real ones. Above 0 a row is flagged; so are"
            f" {USUAL:.0%} of real rows, so a flag is no proof of a single row."
        )
        sections.append(Section("What looks made", about, None, tuple(looks)))
    verdict = (
        share_text(found, share) if told or share is None else f"germline cannot tell how many of the unmarked rows are made: {share.why}."
    )
    return Page(
        "Audit of a pool", f"{found.rows:,} rows whose origin is not known.", level, verdict, answers, tuple(sections), tuple(facts)
    )


def _known(share: MadeShare) -> Section:
    """Return what the known generators say of one that was never shown."""
    rows = [(one.name, f"{one.rows:,}", _caught(one.visibility)) for one in share.seen if one.visibility is not None]
    if share.least is not None:
        rows.append(("reckoned with for one never shown, at least", "", _caught(share.least)))
    text = (
        f"How many rows of each known generator are flagged where {USUAL:.0%} of real rows are, by a classifier that was shown the others"
        " only. The last row is what the upper end of the made share is reckoned with: a generator that hides better than that breaks it."
    )
    return Section("Known generators", text, Table(("generator", "rows", f"flagged, at {USUAL:.0%} of real rows"), tuple(rows)))


def _caught(visibility: float) -> str:
    return f"{float(caught(visibility, np.array([USUAL]))[0]):.1%}"
