"""Images for other tools."""

from pathlib import Path
from typing import Literal

from germline import registry
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.progress import bars
from germline.core.splits import NAMES, Splits
from germline.data.export import Format
from germline.data.export import export as export_pool
from germline.verbs.arguments import Name, run_folders


def export(
    run: Name,
    out: Path,
    generation: int | None = None,
    what: Literal["samples", "training", "data"] = "samples",
    format: Format = "imagefolder",
) -> None:
    """Write a generation's samples, the rows it was trained on, or the real images, in a format that other tools open.

    Args:
        run: the run folder.
        out: the new folder.
        generation: which; the last one when not given.
        what: S_g, T_g, or the real images: one folder a split.
        format: class folders with metadata.jsonl, Parquet for the datasets library, or WebDataset tars.
    """
    opened = registry.open_run(run_folders([Path(run)])[0])
    if what == "data":
        if generation is not None:
            raise BadInput("The real images are those of every generation; leave out --generation with --what data.")
        return export_splits(opened.data, out, format)
    chosen = opened.chain[len(opened.chain) - 1 if generation is None else generation]
    pool = chosen.samples if what == "samples" else chosen.training(opened.data)
    export_pool(pool, opened.data.classes, out, format, progress=bars)
    print(f"{out}: {len(pool):,} images.")


def export_splits(data: Splits, out: Path, format: Format) -> None:
    """Write every split that has rows, in order: what ``adopt`` reads back to the same splits."""
    pools: dict[str, Pool] = {name: getattr(data, name) for name in NAMES if len(getattr(data, name))}
    for name, pool in pools.items():
        export_pool(pool, data.classes, out / name, format, progress=bars)
    print(f"{out}: {', '.join(f'{name} {len(pool):,}' for name, pool in pools.items())} images.")
