"""A pool of unknown origin, in words, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from germline.audit.share import Unlike
from germline.audit.share_pool import Said
from germline.core.digest import Json
from germline.report.audited import Answer, Page, Section
from germline.report.tables import Facts, Table

CANNOT = (
    "How many of the unmarked rows are made, germline cannot tell: no classifier was shown the generator, and made rows that look real"
    " are not seen."
)


def marks_text(found: Said) -> str:
    """Return the counts of marks in words."""
    silent = f"{len(found.unmarked):,} say nothing" + (
        f" ({found.arrays:,} of them are arrays, which carry no mark)" if found.arrays else ""
    )
    return (
        f"Of {found.rows:,} rows {found.made:,} are marked as made, {found.taken:,} as taken by a camera or scanner, {silent},"
        f" {found.unreadable:,} cannot be read."
    )


def unlike_text(found: Unlike | None) -> str:
    """Return the lower bound in words."""
    if found is None:
        return "Without --real there is nothing to compare the unmarked rows with."
    tested = f"{found.pool:,} unmarked rows beside {found.real:,} real ones were tested; shares below {found.visible:.1%} could not be seen"
    if found.low == 0:
        return f"No share of the unmarked rows certainly looks unlike the real rows ({tested})."
    return (
        f"At least {found.low:.1%} of the unmarked rows do not look like the real rows (95 % confidence; {tested})."
        " They may be made, or real ones of another source, size or file format."
    )


def to_json(found: Said, beside: Unlike | None) -> dict[str, Json]:
    """Return the numbers; ``made_share`` is always None: it cannot be told."""
    marks: dict[str, Json] = {"made": found.made, "taken": found.taken, "none": len(found.unmarked), "arrays": found.arrays}
    kinds: dict[str, Json] = dict(found.kinds)
    unlike: Json = None if beside is None else {**asdict(beside)}
    return {"rows": found.rows, "unreadable": found.unreadable, "marks": {**marks, "kinds": kinds}, "unlike": unlike, "made_share": None}


def page(found: Said, beside: Unlike | None, facts: Sequence[Facts]) -> Page:
    """Return the page."""
    answers = (
        Answer("Marks", "look" if found.made else "good", marks_text(found), "A mark can be removed or copied; none was verified."),
        Answer("Unlike the real rows", "unknown" if beside is None else "look" if beside.low else "good", unlike_text(beside)),
        Answer("Made share", "unknown", CANNOT),
    )
    table = Table(("mark", "rows"), tuple((kind, f"{count:,}") for kind, count in found.kinds))
    text = "What the files say of themselves; a row may carry several marks." if found.kinds else "No file carries a mark."
    lead = f"{found.rows:,} rows whose origin is not known."
    return Page(
        "Audit of a pool", lead, "unknown", CANNOT, answers, (Section("Marks", text, table if found.kinds else None),), tuple(facts)
    )
