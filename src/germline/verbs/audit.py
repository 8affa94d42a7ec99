"""Pools of images, audited: made beside real ones, or of unknown origin."""

from importlib.metadata import version
from pathlib import Path

from germline.audit import findings
from germline.audit.audit import Audit
from germline.audit.audit import audit as audit_made
from germline.audit.inputs import SHARE, inputs, scratch_folder
from germline.audit.pages import page
from germline.audit.would import would
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.core.splits import Splits
from germline.pools import shards_of
from germline.report import audited
from germline.report.tables import Facts
from germline.verbs.arguments import print_json
from germline.verbs.audit_pool import audit_pool
from germline.verbs.score import here


def audit(
    real: str | None = None,
    made: str | None = None,
    pool: str | None = None,
    held_out: str | None = None,
    out: Path | None = None,
    size: int | None = None,
    skip_bad: bool = False,
    false_alarms: float = 0.01,
    null: float = 0.05,
    guidance_scale: float | None = None,
    cache: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Say what is wrong with made images beside real ones: copies, repeats, lost diversity, holes, skewed classes, strange images.

    A path is a folder of pictures (a class a sub-folder, or metadata.jsonl, or flat), WebDataset tars, Parquet, .npz, .npy, or an address
    that fsspec opens. Nothing in it is changed. Images are decoded into files, not into memory: --dry-run tells how much of the disk that
    takes. A killed audit goes on where it was; what it left is removed after a week.

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
        guidance_scale: the scale that the made images were sampled with, if you know it (1 is none): the advice depends on it.
        cache: where decoded images and features lie until the audit is done; the user's own cache when not given.
        dry_run: say how many images there are, and what would be taken of time and disk, measured on a few; compute nothing.
        json: print JSON.
    """
    if pool is not None:
        if held_out is not None or (made is not None and real is None):
            raise BadInput("--pool goes with --real, or with --real and --made; nothing is held out. Name the real images, too.")
        return audit_pool(pool, real, made, out, size, dry_run, json)
    if real is None or made is None:
        raise BadInput("Name the real and the made images: germline audit --real DIR --made DIR --out audit.html")
    if out is not None:
        here(out)
        if out.is_dir():
            raise BadInput(f"--out {out} is a folder; name a file, such as {out / 'audit.html'}.")
    pools = [shards_of(real), shards_of(made), *([shards_of(held_out)] if held_out is not None else [])]
    if dry_run:
        told = would([pools[0], *pools[2:]], pools[1], size)
        return print_json(told.to_json()) if json else print(told.text())
    with scratch_folder(cache, pools, size, skip_bad) as folder:
        given = inputs(pools[0], pools[1], pools[2] if pools[2:] else None, folder, size, skip_bad, bars)
        ctx = Context(0, 0, given.data, cache=Cache(folder / "features"), progress=bars)
        found = audit_made(given.data, given.made, ctx, false_alarms, null, bars, folder / "copies", guidance_scale)
        if out is not None:
            audited.write(page(found, given.names, given.real_names, _facts(given.data, real, made, held_out)), out)
        if json:
            return print_json(found.to_json(given.names, given.real_names))
    print_words(found)
    print(f"{out} shows it." if out else "--out audit.html shows pictures, --json tells all numbers.")


def print_words(found: Audit) -> None:
    """Print the verdict and every finding."""
    print(findings.VERDICTS[findings.worst(found.findings)])
    words = {"good": "fine", "look": "look", "bad": "bad"}
    for finding in found.findings:
        print(f"{words[finding.level]:5} {finding.about}: {finding.text} {finding.advice}".rstrip())


def _facts(data: Splits, real: str, made: str, held_out: str | None) -> tuple[Facts, ...]:
    cut = f"{held_out}" if held_out else f"{SHARE:.0%} of every class, cut from the real images by a fixed seed"
    return (
        Facts("real", real),
        Facts("made", made),
        Facts("held out", f"{cut}: {len(data.held_out):,} images"),
        Facts("judges", f"fitted on {len(data.judge):,} other real images"),
        Facts("data digest", data.digest),
        Facts("version", f"germline {version('germline')}"),
    )
