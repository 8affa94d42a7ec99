"""A pool of unknown origin: what its files say of themselves, counted; features of rows; the generators of known made ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from jaxtyping import Float, UInt8

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.progress import Progress, silent
from germline.core.protocols import Extractor
from germline.core.splits import Splits
from germline.data.marks import read
from germline.data.pictures import Unreadable
from germline.pools.blocks import Fit, blocks
from germline.pools.opened import Opened
from germline.pools.shard import Row

MOST = 10_000  # rows of a side whose features are computed, drawn by the hash of their names
KNOWN = 2_000  # of a known generator
FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WebP", b"GIF8": "GIF"}  # by a file's first bytes
APART = 0.05  # difference in the share of a format that is no chance and no matter
LOOSE = "loose files"  # the generator of pictures that lie in no sub-folder


@dataclass(frozen=True, eq=False)
class Described:
    """Rows and their features; ``broken`` counts those that were asked for and could not be decoded."""

    names: tuple[str, ...]
    features: Float[np.ndarray, "n d"]
    broken: int = 0


@dataclass(frozen=True)
class Said:
    """Rows by what their files say: made, taken, nothing; ``kinds`` of marks (a row may carry several); ``unmarked`` names the silent ones.

    ``arrays`` of the silent rows are pixels or embeddings, which cannot carry a mark. ``marked`` names those that are said to be made, by
    the marks that they carry. ``no_rows`` counts files and folders that hold nothing to look at.
    """

    rows: int
    made: int
    taken: int
    unreadable: int
    arrays: int
    kinds: tuple[tuple[str, int], ...]
    unmarked: tuple[str, ...]
    marked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    no_rows: int = 0


def said(pool: Opened, progress: Progress = silent) -> Said:
    """Return what the files of all rows say of their origin. Nothing is decoded, no signature is checked."""
    rows, arrays, unreadable = 0, 0, 0
    origins, kinds, unmarked = Counter[str](), Counter[str](), list[str]()
    marked: dict[str, list[str]] = {}
    with progress("shards", max(1, len(pool.shards))) as advance:
        for shard in pool.shards:
            for row in shard.rows():
                rows += 1
                if row.skipped:
                    unreadable += 1
                    continue
                if row.read is None:
                    arrays += 1
                    unmarked.append(row.id)
                    continue
                try:
                    marks = read(row.stored())
                except Unreadable:
                    unreadable += 1
                    continue
                origins[marks.origin] += 1
                told = [f"XMP: {marks.xmp}"] if marks.xmp else []
                told += [f"C2PA: {marks.manifest_type or 'no source type'}"] if marks.manifest else []
                told += [f"PNG: {note}" for note in marks.notes]
                kinds.update(told)
                if marks.origin == "unknown":
                    unmarked.append(row.id)
                elif marks.origin == "made":
                    marked.setdefault(", ".join(told), []).append(row.id)
            advance(1)
    counted = tuple(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))
    alike = tuple((f"marked {kind}", tuple(names)) for kind, names in sorted(marked.items()))
    return Said(rows, origins["made"], origins["taken"], unreadable, arrays, counted, tuple(unmarked), alike, len(pool.skipped))


def generators(made: Opened) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the rows of each known generator: of pictures the sub-folder at the top that they lie in, of others the file."""
    found: dict[str, list[str]] = {}
    for shard in made.shards:
        for row in shard.rows():
            if not row.skipped:
                folder, slash, _ = row.id.partition("/")
                file, hash_sign, _ = row.id.rpartition("#")
                found.setdefault(folder if slash else file if hash_sign and row.file is None else LOOSE, []).append(row.id)
    return tuple((name, tuple(names)) for name, names in sorted(found.items()))


def formats(pool: Opened, names: tuple[str, ...], most: int = KNOWN) -> Counter[str]:
    """Return how many of the named rows, of at most ``most`` of them, are stored in which format; "other" holds pixels without a file."""
    wanted = _some(names, most)
    found = Counter[str]()
    for row in (row for shard in pool.shards for row in shard.rows() if row.id in wanted and not row.skipped):
        try:
            start = row.stored()[:4] if row.read is not None else b""
        except Unreadable:
            continue
        found[next((name for magic, name in FORMATS.items() if start.startswith(magic)), "other")] += 1
    return found


def stored_otherwise(pool: Counter[str], real: Counter[str]) -> str:
    """Return why the made share cannot be told where the pool's files have other formats than the real ones; "" where they have the same.

    A classifier that never saw a real JPEG takes what compression leaves for what a generator leaves. Ours, with its limit of 5 points.
    """
    for name in sorted({*pool, *real}):
        there, here = (count[name] / max(1, count.total()) for count in (pool, real))
        if abs(there - here) > APART:
            return (
                f"{there:.0%} of the pool's files and {here:.0%} of the real ones are {name}: compression is taken for drawing by a model"
            )
    return ""


def described(
    pool: Opened, names: tuple[str, ...], extractor: Extractor, fit: Fit, most: int = MOST, progress: Progress = silent
) -> Described:
    """Return features of the named rows, of at most ``most`` of them; those that cannot be decoded are left out, and counted.

    Raises:
        BadInput: rows have features of several lengths, or none could be decoded.
    """
    wanted = _some(names, most)
    nothing = Pool.of(np.zeros((0, 1, 1, 1), np.uint8))
    ctx = Context(0, 0, Splits("this pool", (), nothing, nothing, nothing, nothing))
    out: list[np.ndarray] = []
    kept: list[str] = []
    with progress(f"features of {pool.name}", max(1, len(pool.shards))) as advance:
        for shard in pool.shards:
            if shard.vectors is not None:
                places = [(place, row.id) for place, row in enumerate(shard.rows()) if row.id in wanted]
                out += [np.asarray(shard.vectors()[[place for place, _ in places]], np.float32)] if places else []
                kept += [name for _, name in places]
            else:
                for block in blocks(_wanted(shard.rows(), wanted), fit, lambda place, reason: None):
                    out.append(np.asarray(extractor(Pool.of(block.images), ctx), np.float32))
                    kept += [row.id for row in block.rows]
            advance(1)
    widths = {part.shape[1] for part in out}
    if len(widths) != 1:
        what = "no row could be decoded" if not widths else f"rows have {', '.join(map(str, sorted(widths)))} features"
        raise BadInput(f"--pool {pool.name}: {what}; bring all images to one size: --size 64, say.")
    return Described(tuple(kept), np.concatenate(out), len(wanted) - len(kept))


def images(pool: Opened, names: tuple[str, ...], fit: Fit) -> dict[str, UInt8[np.ndarray, "h w c"]]:
    """Return the images of these rows, of those that can be decoded; none of embeddings."""
    wanted, found = frozenset(names), dict[str, np.ndarray]()
    for shard in pool.shards if wanted else ():
        if shard.vectors is None:
            for block in blocks(_wanted(shard.rows(), wanted), fit, lambda place, reason: None):
                found.update(zip((row.id for row in block.rows), block.images, strict=True))
    return found


def _wanted(rows: Iterator[Row], wanted: frozenset[str]) -> Iterator[tuple[int, Row]]:
    return ((place, row) for place, row in enumerate(rows) if row.id in wanted)


def _some(names: tuple[str, ...], most: int) -> frozenset[str]:
    """Return at most so many of the names, drawn by their hash."""
    return frozenset(sorted(names, key=lambda name: blake2b(name.encode()).digest())[:most])
