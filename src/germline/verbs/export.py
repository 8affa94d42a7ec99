"""Images and models for other tools."""

from pathlib import Path
from typing import Literal, cast, get_args

from germline import registry
from germline.core.errors import BadInput
from germline.core.generation import MODEL, Generation
from germline.core.pool import Pool
from germline.core.progress import bars
from germline.core.splits import NAMES, Splits
from germline.data.export import Format
from germline.data.export import export as export_pool
from germline.pipelines.export import Form
from germline.pipelines.export import export as export_pipeline
from germline.pipelines.tuned import Tuned
from germline.verbs.arguments import Name, one_run


def export(
    run: Name,
    out: Path,
    generation: int | None = None,
    what: Literal["samples", "training", "data", "model"] = "samples",
    format: Format | Form | None = None,
) -> None:
    """Write a generation's samples, the rows it was trained on, the real images, or its text-to-image model, for other tools to open.

    Examples:
      germline export runs/mine --out made/
      germline export runs/mine --what model --out pipeline/
      germline export runs/mine --what model --format kohya --generation 2 --out mine.safetensors

    Args:
        run: the run folder.
        out: the new folder; of kohya, the new file.
        generation: which; the last one when not given.
        what: S_g, T_g, the real images (one folder a split), or M_g, where it is a pipeline of diffusers.
        format: of images: imagefolder (class folders with metadata.jsonl; the default), parquet for the datasets library, or webdataset
            tars. Of a model: diffusers (a whole pipeline; the default), or its LoRA: lora for diffusers, kohya for other programs.
    """
    of_model = what == "model"
    known: tuple[str, ...] = get_args(Form if of_model else Format)
    if format is not None and format not in known:
        raise BadInput(f"--what {what} has the formats {', '.join(known)}, but --format {format} was asked for.")
    images, form = cast(Format, format or known[0]), cast(Form, format or known[0])
    opened = registry.open_run(one_run(Path(run)))
    if what == "data":
        if generation is not None:
            raise BadInput("The real images are those of every generation; leave out --generation with --what data.")
        return export_splits(opened.data, out, images)
    chosen = opened.chain[len(opened.chain) - 1 if generation is None else generation]
    if of_model:
        export_pipeline(pipeline_of(chosen), out, form)
        return print(f"{out}: the model of generation {chosen.number}.")
    pool = chosen.samples if what == "samples" else chosen.training(opened.data)
    export_pool(pool, opened.data.classes, out, images, progress=bars)
    print(f"{out}: {len(pool):,} images.")


def pipeline_of(generation: Generation) -> Tuned:
    """Return a generation's model, if it is a pipeline of diffusers.

    Raises:
        BadInput: it is not.
    """
    model = generation.model
    if not isinstance(model, Tuned):
        raise BadInput(
            f"The model of this run is a {type(model).__name__}, no pipeline of diffusers; its arrays are in {generation.path / MODEL}."
        )
    return model


def export_splits(data: Splits, out: Path, format: Format) -> None:
    """Write every split that has rows, in order: what ``adopt`` reads back to the same splits."""
    pools: dict[str, Pool] = {name: getattr(data, name) for name in NAMES if len(getattr(data, name))}
    for name, pool in pools.items():
        export_pool(pool, data.classes, out / name, format, progress=bars)
    print(f"{out}: {', '.join(f'{name} {len(pool):,}' for name, pool in pools.items())} images.")
