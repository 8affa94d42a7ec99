"""An audit as a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from germline.audit import findings
from germline.audit.audit import Audit
from germline.core.pool import REAL
from germline.report.audited import Answer, Gallery, Page, Picture, Section
from germline.report.pictures import data_uri, mosaic, small
from germline.report.tables import Facts, Table
from germline.report.text import count, number

PAIRS, HOLES, CLASSES = 60, 8, 200  # pairs, missing regions and classes on the page


def page(audit: Audit, names: Sequence[str], real_names: Sequence[str], facts: Sequence[Facts]) -> Page:
    """Return the page; ``names`` and ``real_names`` say where each made and each real row lies."""
    level = findings.worst(audit.findings)
    real, made = len(audit.data.real.sources[REAL]), len(audit.made)
    sections = [_copies(audit, names, real_names), _numbers(audit), _regions(audit), _classes(audit), _odd(audit, names)]
    return Page(
        "Audit of made images",
        f"{made:,} made images beside {real:,} real ones. Every limit on this page was fixed on real images before a made one was read.",
        level,
        findings.VERDICTS[level],
        tuple(Answer(found.about, found.level, found.text, found.advice) for found in audit.findings),
        tuple(section for section in sections if section),
        tuple(facts),
    )


def short_name(name: str) -> str:
    """Return the end of a row's path."""
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _copies(audit: Audit, names: Sequence[str], real_names: Sequence[str]) -> Section:
    limits, found = audit.limits, audit.copies
    text = (
        "Made image left, the real one it resembles right. The strangeness below a pair is their distance over flips, shifts of up to"
        " 2 pixels and a crop of 90 %, in units of the distances around that real image: 0 is a copy, fresh images lie around 1."
        f" A near copy is below {number(limits.copy)}: {limits.alarms:.0%} of real images are as near to another real one;"
        f" none is nearer than {number(limits.surely)}. So some near copies are chance, most of all the last ones."
    )
    galleries = []
    for title, pairs in (("Equal byte for byte", found.exact), ("Near copies, nearest first", found.called)):
        if pairs:
            shown = f"{title}: {len(pairs):,}" + (f", of which {PAIRS} are shown; --json lists all" if len(pairs) > PAIRS else "")
            galleries.append(Gallery(shown, tuple(_pair(audit, pair, names, real_names) for pair in pairs[:PAIRS]), wide=True))
    return Section("Copies of real images", text, None, tuple(galleries))


def _pair(audit: Audit, pair: tuple[int, int, float], names: Sequence[str], real_names: Sequence[str]) -> Picture:
    made, real, strangeness = pair
    both = np.concatenate([audit.made.images[[made]], audit.data.real.sources[REAL].images[[real]]])
    uri = data_uri(mosaic(small(both), columns=2, gap=2))
    name, beside = short_name(names[made]), short_name(real_names[real])
    return Picture(uri, (name, f"real: {beside}", f"strangeness {number(strangeness)}"), f"made image {name} beside real image {beside}")


def _numbers(audit: Audit) -> Section:
    reference = {found.name: found for found in audit.numbers if found.of == "reference"}
    rows = []
    for found in audit.numbers:
        if found.of == "samples":
            interval = f"{number(found.low)} to {number(found.high)}" if found.low is not None and found.high is not None else ""
            rows.append((found.name, number(found.value), interval, number(reference[found.name].value), found.better or ""))
    first = audit.numbers[0]
    text = (
        f"Measured in {first.extractor} ({first.d} numbers an image) against {len(audit.data.held_out):,} held-out real images."
        f" Diversity and support compare {first.n:,} made images with as many real ones, so that both columns may be compared."
        " Hallucination is the share outside of balls around held-out images, scaled so that"
        f" {audit.limits.null:.0%} of other real images are outside."
    )
    return Section("Fidelity and diversity", text, Table(("number", "made", "95 % interval", "real images", "better"), tuple(rows)))


def _regions(audit: Audit) -> Section:
    if len(audit.regions) < 2:
        return Section("Coverage holes", findings.TOO_FEW)
    missing = [region for region in audit.regions if region.missing]
    galleries = []
    for region in missing[:HOLES]:
        pictures = small(audit.counted.images[list(region.medoids)])
        title = f"{region.made:,} made where {region.expected:,.1f} are expected ({region.real:,} real)"
        galleries.append(Gallery(title, tuple(Picture(data_uri(p), (), "real image of a region that is missing") for p in pictures)))
    text = (
        f"The real images fall into {len(audit.regions)} regions (k-means). A region is missing if it has certainly under half of its"
        " made images (Fisher's exact test, 1 % over all regions). Shown are the real images nearest to the centre of each."
        if missing
        else f"None of {len(audit.regions)} regions of the real images (k-means) has certainly under half of its made images."
    )
    if len(missing) > HOLES:
        text += f" {HOLES} of {len(missing)} are shown."
    return Section("Coverage holes", text, None, tuple(galleries))


def _classes(audit: Audit) -> Section | None:
    balance = audit.balance
    if balance is None:
        return Section("Class balance", "The real images have no classes (sub-folders or labels), so there is nothing to balance.")
    order = np.argsort(np.divide(balance.made, np.maximum(balance.real, 1e-9)), kind="stable")[:CLASSES]
    rows = tuple((balance.names[i], f"{balance.real[i]:.1%}", f"{balance.made[i]:.1%}") for i in map(int, order))
    text = f"Shares of the classes, {balance.how}; what lacks most comes first."
    if balance.accuracy is not None:
        text += f" The classifier is fitted on a part of the real images and right for {balance.accuracy:.1%} of held-out ones"
        text += f"; it agrees with {balance.agreement:.1%} of the made images' labels." if balance.agreement is not None else "."
    return Section("Class balance", text, Table(("class", "real", "made"), rows))


def _odd(audit: Audit, names: Sequence[str]) -> Section:
    pictures = tuple(
        Picture(
            data_uri(small(audit.made.images[[row]])[0]), (short_name(names[row]), number(factor)), f"odd image {short_name(names[row])}"
        )
        for row, factor in audit.odd
    )
    text = (
        "Farthest outside of where real images lie. The number is the factor at which the balls around held-out images reach it; beyond"
        f" {number(audit.limits.reach)} it counts as outside. Odd is not wrong: look before you delete."
    )
    return Section(f"The {count(len(pictures))} oddest images", text, None, (Gallery("Oddest first", pictures),))
