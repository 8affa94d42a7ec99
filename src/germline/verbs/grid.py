"""Samples of arms, side by side in one picture."""

from pathlib import Path

import numpy as np

from germline import registry
from germline.core.atomic import replacing
from germline.core.errors import BadInput
from germline.report.arms import Group, groups
from germline.report.sheet import Cut, Sheet, sheet
from germline.verbs.arguments import Paths, numbers, print_json, run_folders

FORMATS = {".png": "PNG", ".webp": "WEBP"}
WEBP_SIDE = 16_383  # the format holds no more


def grid(
    runs: Paths,
    out: Path = Path("grid.png"),
    classes: tuple[str, ...] = (),
    prompts: tuple[str, ...] = (),
    seeds: tuple[str, ...] = (),
    generations: tuple[str, ...] = (),
    rows: int = 1,
    scale: int | None = None,
    json: bool = False,
) -> None:
    """Draw one picture, arms x generations: the same seed, row number and class at the same place of every cell.

    Rows are the first ones of each class, never chosen by eye. Beside them are real images of the same classes.

    Examples:
      germline grid runs/demo
      germline grid runs/loop --seeds 0,1 --classes Bag 8 --rows 5 --generations 0 1 5 --out bags.png

    Args:
        runs: run folders, or folders that hold some; all of one data set.
        out: the picture, .png or .webp (without loss).
        classes: names or numbers; all when not given.
        prompts: of runs with prompts; all when not given, evenly spread ones where there are many.
        seeds: which seeds of every arm; the lowest of each when not given.
        generations: which; at most seven, evenly spread, when not given.
        rows: rows of each class or prompt.
        scale: pixels of the picture a pixel of an image. When not given, images larger than 64 pixels are shrunk and small ones enlarged.
        json: print JSON.

    Raises:
        BadInput: another format; runs of several data sets; a class, prompt, seed or generation that there is not.
    """
    if out.suffix.lower() not in FORMATS:
        raise BadInput(f"--out must end in {' or '.join(FORMATS)}, but is {out}.")
    opened = [registry.open_run(path) for path in run_folders(runs)]
    found = groups([(run.name, run.chain, run.data) for run in opened])
    if len(found) > 1:
        raise BadInput(f"These runs are of {len(found)} data sets, whose rows do not match; name the runs of one.")
    wanted = conditions_of(found[0], classes, prompts)
    drawn = sheet(found[0], Cut(wanted, numbers(seeds, "--seeds"), numbers(generations, "--generations"), rows, scale))
    save(drawn, out)
    print_json({"picture": str(out), **about(drawn)}) if json else print(f"{out}: {drawn.image.width} x {drawn.image.height} pixels.")


def conditions_of(group: Group, classes: tuple[str, ...], prompts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes or prompts that are asked for.

    Raises:
        BadInput: the runs have the other kind.
    """
    has_classes = np.issubdtype(group.arms[0].shown.generations[0].samples.condition.dtype, np.integer)
    if classes and not has_classes:
        raise BadInput("The samples of these runs have prompts, not classes; choose them by --prompts.")
    if prompts and has_classes:
        raise BadInput("The samples of these runs have classes, not prompts; choose them by --classes.")
    return classes or prompts


def save(drawn: Sheet, out: Path) -> None:
    """Write the picture.

    Raises:
        BadInput: WebP holds no picture so large.
    """
    how = FORMATS[out.suffix.lower()]
    if how == "WEBP" and max(drawn.image.size) > WEBP_SIDE:
        raise BadInput(
            f"The picture has {drawn.image.width} x {drawn.image.height} pixels, and WebP holds at most {WEBP_SIDE:,} a side;"
            " take .png, or a lower --scale."
        )
    with replacing(out) as temporary:
        drawn.image.save(temporary, how, lossless=True) if how == "WEBP" else drawn.image.save(temporary, how, optimize=True)


def about(drawn: Sheet) -> dict[str, object]:
    """Return what stands where, as JSON."""
    return {
        "size": list(drawn.image.size),
        "lines": [{"arm": line.arm.name, "seed": line.seed, "run": line.run.name if line.run else None} for line in drawn.lines],
        "generations": list(drawn.generations),
        "rows": drawn.rows.tolist(),
        "conditions": list(drawn.conditions),
        "columns": drawn.columns,
        "scale": drawn.scale,
        "corners": [[list(corner) for corner in line] for line in drawn.corners],
    }
