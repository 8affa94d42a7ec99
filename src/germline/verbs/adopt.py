"""Chains that others made."""

import warnings
from pathlib import Path

import tyro

from germline.adopt import Adoption, Paths, read, write
from germline.core.progress import bars
from germline.verbs.arguments import print_json

Several = tyro.conf.UseAppendAction[tuple[Path, ...]]


def adopt(
    real: Path,
    out: Path,
    generation: Several,
    train: Several = (),
    reserve: Path | None = None,
    judge: Path | None = None,
    held_out: Path | None = None,
    judge_share: float = 0.25,
    held_out_share: float = 0.25,
    arm: str | None = None,
    seed: int = 0,
    size: int | None = None,
    skip_bad: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Make a run of images that another program made, to measure, judge, compare and show; it cannot be trained further.

    A path is a folder of pictures (a class a sub-folder, or metadata.jsonl, or flat), a .npz, a .npy, or Parquet. All images are copied
    into the run.

    Examples:
      germline adopt --real real/ --generation made0/ --generation made1/ --out runs/theirs
      germline adopt --real real/ --held-out test/ --judge other/ --generation s0.npz --generation s1.npz --train t1.npz --out runs/theirs

    Args:
        real: R, the real images.
        out: the new run folder.
        generation: the samples of a generation; once for each, from generation 0 on.
        train: T_g, what a generation was trained on; once for each generation, or for each but generation 0, which was then trained
            on R. Rows are recognised by content. Without it, numbers that need T_g are left out.
        reserve: real images that were kept back as fresh data.
        judge: real images to fit judges on (classifier); cut from R when not given.
        held_out: real images that nothing is fitted or trained on; cut from R when not given.
        judge_share: part of every class of R that is cut off for the judges.
        held_out_share: part of every class of R that is held out.
        arm: what the chain is an example of, so that chains of other seeds stand beside it; the folder's name when not given.
        seed: of the chain, where its maker names one.
        size: resize to this many pixels a side; needed where images differ.
        skip_bad: leave unreadable images out, with a count and a list, instead of stopping at the first.
        dry_run: read and match everything, say what would be made, and stop.
        json: print JSON.
    """
    paths = Paths(real, generation, train, reserve, judge, held_out)
    found = read(paths, size=size, skip_bad=skip_bad, judge_share=judge_share, held_out_share=held_out_share, progress=bars)
    if not dry_run:
        write(found, out, seed=seed, arm=arm)
    if json:
        return print_json({"run": None if dry_run else str(out), **found.to_json()})
    for note in found.notes:
        warnings.warn(note, stacklevel=2)
    print(describe(found))
    print("Nothing was written." if dry_run else f"{out} is adopted. Measure it: germline measure {out}")


def describe(found: Adoption) -> str:
    """Return in words what was read."""
    about = found.to_json()
    splits, rows = about["splits"], about["generations"]
    assert isinstance(splits, dict)
    assert isinstance(rows, list)
    size = "x".join(str(side) for side in found.data.image_shape)
    lines = [f"real images of {size}: {', '.join(f'{name} {n}' for name, n in splits.items())}; {len(found.data.classes)} classes"]
    for number, row in enumerate(rows):
        assert isinstance(row, dict)
        known = row["training"]
        made_of = ", ".join(f"{n} {who}" for who, n in known.items()) if isinstance(known, dict) else "unknown"
        lines.append(f"generation {number}: {row['samples']} samples; trained on: {made_of}")
    return "\n".join(lines)
