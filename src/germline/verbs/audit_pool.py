"""What `audit --pool` does: marks counted, rows that look unlike real ones, the made share with an interval."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Float

from germline.audit import share_page
from germline.audit.jpeg_grid import JpegGrid, compressed_otherwise
from germline.audit.made_share import Detector, MadeShare
from germline.audit.share import Unlike, unlike
from germline.audit.share_pool import KNOWN, MOST, Described, Said, described, formats, generators, said, stored_otherwise
from germline.audit.traces import Traces
from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.pools import Opened, shards_of
from germline.pools.blocks import Fit
from germline.report import audited
from germline.report.tables import Facts
from germline.verbs.arguments import print_json
from germline.verbs.score import outside

GRIDS = 1_000  # rows of a side in which the grid of a JPEG is looked for


def audit_pool(
    pool: str, real: Path | str | None, made: Path | str | None, out: Path | None, size: int | None, dry_run: bool, json: bool
) -> None:
    """Say what can be told of a pool of unknown origin; the arguments are those of the verb.

    Raises:
        BadInput: there is nothing at a path, too few rows, or ``out`` is a folder or lies in the pool.
    """
    if out is not None:
        outside(out, pool)
        if out.is_dir():
            raise BadInput(f"--out {out} is a folder; name a file, such as {out / 'pool.html'}.")
    opened, fit = shards_of(pool), Fit(size, 3)
    given = {flag: shards_of(str(path)) for flag, path in (("real", real), ("made", made)) if path is not None}
    if dry_run:
        return _would(opened, given, json)
    found = said(opened, bars)
    seen = _compared(opened, found, given["real"], given.get("made"), fit) if "real" in given and found.unmarked else Compared()
    if out is not None:
        facts = [Facts("pool", pool), Facts("real", str(real or "none")), Facts("known made", str(made or "what marks say"))]
        facts += [
            Facts("images", f"squares of {size} pixels" if size else "as they are"),
            Facts("version", f"germline {version('germline')}"),
        ]
        looks = share_page.looks(opened, seen.rows, seen.suspicion, fit) if seen.rows is not None and seen.suspicion is not None else ()
        audited.write(share_page.page(found, seen.beside, seen.share, seen.broken, looks, facts), out)
    if json:
        return print_json(share_page.to_json(found, seen.beside, seen.share, seen.broken))
    print("\n".join([share_page.marks_text(found), *(f"  {kind}: {count:,}" for kind, count in found.kinds)]))
    looked = (
        share_page.unlike_text(found, seen.beside),
        share_page.broken_text(seen.broken or 0),
        share_page.share_text(found, seen.share),
    )
    print("\n".join(text for text in looked if text))
    print(f"{out} shows it." if out else "--out pool.html shows it, --json tells all numbers.")


@dataclass(frozen=True)
class Compared:
    """What the unmarked rows look like beside real and known made ones; all None where there was nothing to compare."""

    rows: Described | None = None
    beside: Unlike | None = None
    share: MadeShare | None = None
    suspicion: Float[np.ndarray, " n"] | None = None

    @property
    def broken(self) -> int | None:
        """How many unmarked rows could not be decoded; None where none were looked at."""
        return None if self.rows is None else self.rows.broken


def _compared(pool: Opened, found: Said, real: Opened, made: Opened | None, fit: Fit) -> Compared:
    """Compare the unmarked rows with the real ones, and with rows known to be made, where there are any."""
    ids = tuple(row.id for shard in real.shards for row in shard.rows() if not row.skipped)
    known = described(real, ids, Traces(), fit, progress=bars).features
    rows = described(pool, found.unmarked, Traces(), fit, progress=bars)
    beside = unlike(known, rows.features)
    groups = generators(made) if made is not None else found.marked
    shown = {name: described(made or pool, names, Traces(), fit, KNOWN, bars).features for name, names in groups}
    if not shown:
        return Compared(rows, beside)
    detector = Detector.of(known, shown)
    share = detector.share(rows.features)
    otherwise = stored_otherwise(formats(pool, found.unmarked), formats(real, ids))
    otherwise = otherwise or _compressed_otherwise(pool, found.unmarked, real, ids)
    return Compared(rows, beside, replace(share, why=otherwise or share.why), detector.suspicion(rows.features))


def _compressed_otherwise(pool: Opened, names: tuple[str, ...], real: Opened, real_names: tuple[str, ...]) -> str:
    """Return why compression makes the made share untellable; "" where it does not, or there are no pictures to see it in."""
    if any(shard.vectors is not None for one in (pool, real) for shard in one.shards):
        return ""
    there, here = (described(*one, JpegGrid(), Fit(), GRIDS, bars).features[:, 0] for one in ((pool, names), (real, real_names)))
    return compressed_otherwise(there, here)


def _would(pool: Opened, given: Mapping[str, Opened], json: bool) -> None:
    """Say what would be read; only names are."""
    if json:
        known = {name: len(rows) for name, rows in generators(given["made"])} if "made" in given else {}
        return print_json(
            {"pool": pool.count, "shards": len(pool.shards), "real": given["real"].count if "real" in given else None, "made": known}
        )
    rows = "an unknown number of" if pool.count is None else f"{pool.count:,}"
    print(f"{pool.name}: {rows} rows in {len(pool.shards):,} shards.")
    for flag, opened in given.items():
        print(f"--{flag} {opened.name}: {'an unknown number of' if opened.count is None else f'{opened.count:,}'} rows.")
    if "made" in given:
        print("Generators: " + ", ".join(f"{name} ({len(rows):,})" for name, rows in generators(given["made"])) + ".")
    print(
        f"Features of at most {MOST:,} rows of the pool and of the real ones, and {KNOWN:,} of a generator, would be computed. Nothing was."
    )
