"""Pools of images, audited: made beside real ones, or of unknown origin."""

import dataclasses
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from germline.audit import findings
from germline.audit.audit import Audit
from germline.audit.audit import audit as audit_made
from germline.audit.copies import exact
from germline.audit.pages import page
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool
from germline.core.progress import bars
from germline.core.splits import Splits
from germline.data.given import UNLABELLED, Given, given, split_given
from germline.report import audited
from germline.report.tables import Facts
from germline.verbs.arguments import print_json
from germline.verbs.audit_pool import audit_pool

SHARE, CLASS_ROWS = 0.25, 12  # of the real rows that are held out, and that judges are fitted on; rows that a class needs for that


def audit(
    real: Path | None = None,
    made: Path | None = None,
    pool: str | None = None,
    held_out: Path | None = None,
    out: Path | None = None,
    size: int | None = None,
    skip_bad: bool = False,
    false_alarms: float = 0.01,
    null: float = 0.05,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Say what is wrong with made images beside real ones: copies, repeats, lost diversity, holes, skewed classes, strange images.

    A path is a folder of pictures (a class a sub-folder, or metadata.jsonl, or flat), a .npz, a .npy, or Parquet. Nothing in it is
    changed. The images must fit in memory; --size shrinks them.

    Examples:
      germline audit --real photos/ --made generated/ --size 64 --out audit.html
      germline audit --real train.npz --held-out test.npz --made samples.npz --json
      germline audit --pool mixed/ --real photos/
      germline audit --pool mixed/ --real photos/ --made generators/ --out pool.html

    Args:
        real: the real images; copies are looked for of all of them.
        made: the made images. With --pool, known made images of the same kind, a sub-folder (or file) a generator, three at least.
        pool: images of unknown origin, of any size and number: their marks are counted; with --real, how many of the unmarked ones look
            unlike the real ones, at least; with --made too (else with what marks say is made), how many are made, from and to, or that
            it cannot be told. Real and made images must be of the pool's kind, size and file format. Nothing is changed.
        held_out: real images that no model was trained on; a quarter of the real ones when not given.
        out: write the page to this file.
        size: bring all images to this many pixels a side; needed where they differ.
        skip_bad: leave unreadable images out, with a count and a list, instead of stopping at the first.
        false_alarms: the share of fresh real images that may be called near copies.
        null: the share of fresh real images that may be called strange.
        dry_run: read everything, say what would be done, and stop.
        json: print JSON.
    """
    if pool is not None:
        if held_out is not None or (made is not None and real is None):
            raise BadInput("--pool goes with --real, or with --real and --made; nothing is held out. Name the real images, too.")
        return audit_pool(pool, real, made, out, size, dry_run, json)
    if real is None or made is None:
        raise BadInput("Name the real and the made images: germline audit --real DIR --made DIR --out audit.html")
    if out is not None and out.is_dir():
        raise BadInput(f"--out {out} is a folder; name a file, such as {out / 'audit.html'}.")
    parts = {name: given(path, size, skip_bad, bars) for name, path in (("real", real), ("held_out", held_out)) if path is not None}
    data = splits_of(parts)
    loaded = given(made, size, skip_bad, bars)
    rows = loaded.pool(data, 0)
    if dry_run:
        return print(describe(data, rows))
    names, real_names = loaded.names, names_of(data, parts)
    found = audit_made(data, rows, Context(0, 0, data, cache=Cache(None), progress=bars), false_alarms, null, bars)
    if out is not None:
        audited.write(page(found, names, real_names, _facts(data, real, made, held_out)), out)
    if json:
        return print_json(found.to_json(names, real_names))
    print_words(found)
    print(f"{out} shows it." if out else "--out audit.html shows pictures, --json tells all numbers.")


def splits_of(parts: Mapping[str, Given]) -> Splits:
    """Return the real images as splits. Classes that are too small to fit a classifier on are not used, with a warning."""
    names = parts["real"].loaded.classes
    if names and names != UNLABELLED:
        counts = np.bincount(parts["real"].loaded.conditions, minlength=len(names))
        small = [name for name, count in zip(names, counts, strict=True) if count < CLASS_ROWS]
        if small:
            warnings.warn(
                f"{len(small)} of {len(names)} classes have under {CLASS_ROWS} real images (the first is {small[0]!r}): classes are left"
                " out of this audit. Add images, or leave those classes out.",
                stacklevel=2,
            )
            parts = {name: unlabelled(part) for name, part in parts.items()}
    return split_given("real", parts, {"judge": SHARE, **({} if "held_out" in parts else {"held_out": SHARE})})


def names_of(data: Splits, parts: Mapping[str, Given]) -> list[str]:
    """Return where each real image lies, in the order of the splits' one source; equal images have the first one's name."""
    every = np.concatenate([part.images(data.image_shape) for part in parts.values()])
    names = [name for part in parts.values() for name in part.names]
    return [names[row] for row in exact(data.real.sources[REAL].images, every)]


def unlabelled(part: Given) -> Given:
    """Return the images without their classes."""
    conditions = np.zeros(len(part.loaded.images), np.int64)
    return Given(part.path, dataclasses.replace(part.loaded, conditions=conditions, classes=UNLABELLED))


def describe(data: Splits, made: Pool) -> str:
    """Return in words what would be audited."""
    height, width, channels = data.image_shape
    rows = f"{len(data.real):,} real, {len(data.judge):,} to fit on, {len(data.held_out):,} held out, {len(made):,} made"
    classes = f"{len(data.classes)} classes" if len(data.classes) > 1 else "no classes"
    return f"{width} x {height} x {channels}: {rows}; {classes}. Nothing was computed."


def print_words(found: Audit) -> None:
    """Print the verdict and every finding."""
    print(findings.VERDICTS[findings.worst(found.findings)])
    words = {"good": "fine", "look": "look", "bad": "bad"}
    for finding in found.findings:
        print(f"{words[finding.level]:5} {finding.about}: {finding.text} {finding.advice}".rstrip())


def _facts(data: Splits, real: Path, made: Path, held_out: Path | None) -> tuple[Facts, ...]:
    cut = f"{held_out}" if held_out else f"{SHARE:.0%} of every class, cut from the real images by a fixed seed"
    return (
        Facts("real", str(real)),
        Facts("made", str(made)),
        Facts("held out", f"{cut}: {len(data.held_out):,} images"),
        Facts("judges", f"fitted on {len(data.judge):,} other real images"),
        Facts("data digest", data.digest),
        Facts("version", f"germline {version('germline')}"),
    )
