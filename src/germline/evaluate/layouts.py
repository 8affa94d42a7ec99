"""Images in the folders that public benchmarks read.

- HPS v2 (github.com/tgxs002/HPSv2, hpsv2/evaluation.py and README): STYLE/00000.jpg, ..., one image a prompt, the styles anime,
  concept-art, paintings and photo with 800 prompts each. Its script takes any other folder for a style, and for a picture that is missing
  scores the next one twice; so both are refused here.
- GenEval (github.com/djghosh13/geneval, evaluation/evaluate_images.py and README): 00000/metadata.jsonl, which is the prompt's line of
  evaluation_metadata.jsonl, and 00000/samples/0000.png, ..., four a prompt in the paper.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from germline.core.atomic import new_folder
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.evaluate.drawing import Task

Layout = Literal["hps", "geneval"]
STYLES = ("anime", "concept-art", "paintings", "photo")
A_STYLE = 800
QUALITY = 95  # of JPEG: above Pillow's usual 75, so that compression decides little


def check(layout: Layout, task: Task, prompts: Sequence[str], a_style: int = A_STYLE) -> None:
    """Check, before anything is drawn, that the prompts are those of the benchmark.

    Raises:
        BadInput: they are not; the message says which are missing.
    """
    if layout == "geneval":
        _metadata(task, prompts)
        return
    counts = {style: task.questions.categories.count(style) for style in dict.fromkeys((*STYLES, *task.questions.categories))}
    if odd := [f"{style or 'none'}: {count}" for style, count in counts.items() if count != a_style * (style in STYLES)]:
        raise BadInput(
            f"The HPS benchmark has {a_style} prompts of each of {', '.join(STYLES)}, but here are {'; '.join(odd)}. Give the folder with"
            " its four lists, anime.json and so on, as --prompts, whole: its script scores what is missing as something else."
        )


def export(layout: Layout, task: Task, pool: Pool, folder: Path, prompts: Sequence[str], a_style: int = A_STYLE) -> None:
    """Write a subject's images to the new folder, whole or not at all; one that is there already is left as it is.

    Args:
        layout: whose.
        task: what was asked.
        pool: the images that ``draw`` returned.
        folder: to be made.
        prompts: the files of prompts; of GenEval, its evaluation_metadata.jsonl.
        a_style: prompts a style of HPS.

    Raises:
        BadInput: the prompts are not those of the benchmark.
    """
    check(layout, task, prompts, a_style)
    if folder.exists():
        return
    write: dict[str, Callable[[Task, Pool, Path, Sequence[str]], None]] = {"hps": _hps, "geneval": _geneval}
    with new_folder(folder) as temporary:
        write[layout](task, pool, temporary, prompts)


def _hps(task: Task, pool: Pool, folder: Path, prompts: Sequence[str]) -> None:
    seen = dict.fromkeys(STYLES, 0)
    for style in STYLES:
        (folder / style).mkdir()
    for number, style in enumerate(task.questions.categories):
        image = pool.images[[number * task.images_a_prompt]][0]
        Image.fromarray(image).save(folder / style / f"{seen[style]:05d}.jpg", quality=QUALITY)
        seen[style] += 1


def _geneval(task: Task, pool: Pool, folder: Path, prompts: Sequence[str]) -> None:
    for number, (row, line) in enumerate(zip(task.questions.rows, _metadata(task, prompts), strict=True)):
        here = folder / f"{row:05d}"
        (here / "samples").mkdir(parents=True)
        (here / "metadata.jsonl").write_text(line)
        start = number * task.images_a_prompt
        for place, image in enumerate(pool.images[np.arange(start, start + task.images_a_prompt)]):
            Image.fromarray(image).save(here / "samples" / f"{place:04d}.png")


def _metadata(task: Task, prompts: Sequence[str]) -> list[str]:
    """Return GenEval's line of every prompt as it stands in its file."""
    path = Path(prompts[0]) if len(prompts) == 1 else Path()
    if path.suffix.lower() != ".jsonl" or not path.is_file():
        raise BadInput(
            "The layout geneval needs GenEval's own evaluation_metadata.jsonl as --prompts: its script reads each prompt's line."
        )
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    chosen = [lines[row] for row in task.questions.rows]
    for row, line in zip(task.questions.rows, chosen, strict=True):
        if not {"tag", "prompt"} <= set(json.loads(line)):
            raise BadInput(f"{path}, row {row}: a line of GenEval has a tag and a prompt, but this one has {sorted(json.loads(line))}.")
    return chosen
