"""Images for other tools."""

from pathlib import Path
from typing import Literal

from germline import registry
from germline.core.progress import bars
from germline.data.export import export as export_pool
from germline.verbs.arguments import Name, run_folders


def export(
    run: Name,
    out: Path,
    generation: int | None = None,
    what: Literal["samples", "training"] = "samples",
    format: Literal["imagefolder", "parquet", "webdataset"] = "imagefolder",
) -> None:
    """Write a generation's samples, or the rows it was trained on, in a format that other tools open.

    Args:
        run: the run folder.
        out: the new folder.
        generation: which; the last one when not given.
        what: S_g or T_g.
        format: class folders with metadata.jsonl, Parquet for the datasets library, or WebDataset tars.
    """
    opened = registry.open_run(run_folders([Path(run)])[0])
    chosen = opened.chain[len(opened.chain) - 1 if generation is None else generation]
    pool = chosen.samples if what == "samples" else chosen.training(opened.data)
    export_pool(pool, opened.data.classes, out, format, progress=bars)
    print(f"{out}: {len(pool):,} images.")
