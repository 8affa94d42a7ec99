"""The generation to go back to."""

from pathlib import Path

from germline import registry
from germline.chain import link
from germline.core.errors import BadInput
from germline.core.generation import MODEL
from germline.core.progress import bars
from germline.data.export import Format
from germline.data.export import export as export_pool
from germline.judge import judge
from germline.verbs.arguments import Name, one_run, print_json


def best(run: Name, out: Path | None = None, format: Format = "imagefolder", json: bool = False) -> None:
    """Name the best generation of a run, and export its samples and its model.

    Examples:
      germline best runs/replace
      germline best runs/replace --out best/

    Args:
        run: the run folder.
        out: the new folder: samples/ and model.safetensors; nothing is written when not given.
        format: of the samples: class folders with metadata.jsonl, Parquet for the datasets library, or WebDataset tars.
        json: print JSON.
    """
    opened = registry.open_run(one_run(Path(run)))
    said = judge(opened.chain, opened.data, progress=bars)
    chosen = opened.chain[said.best]
    if out is not None:
        if out.exists() and any(out.iterdir()):
            raise BadInput(f"{out} is not empty; give a new folder.")
        export_pool(chosen.samples, opened.data.classes, out / "samples", format, progress=bars)
        if (chosen.path / MODEL).exists():
            link(chosen.path / MODEL, out / MODEL)
    if json:
        return print_json({"run": run, "best": said.best, "word": said.word, "out": str(out) if out else None})
    where = f" It is in {out}." if out else f" Export it: germline best {run} --out DIR"
    print(f"{run}: {said.word}; its best generation is {said.best}.{where}")
