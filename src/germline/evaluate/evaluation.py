"""Ask every model, score every image, compare in pairs; all of it lies in one folder and goes on after a kill.

```
DIR/
  images/ARM-ROUND/   subject.json (what decides the images), samples.npy, samples.parquet (condition, attempt)
  scores.parquet      a row an image: arm, round, prompt, image, category, and a column a scorer
  evaluation.json     every mean and difference with its interval, and what each number depends on; carries its own hash
  evaluation.html     the page
  hps/ geneval/       on demand: the folders that those benchmarks read
```
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64

from germline.chain import Chain
from germline.core import digest, sealed
from germline.core.atomic import replacing
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.progress import Progress, silent
from germline.core.protocols import Scorer
from germline.evaluate.differences import Line, lines
from germline.evaluate.drawing import Subject, Task, asked, draw, left
from germline.evaluate.layouts import Layout, check, export
from germline.scorers.plain import nowhere
from germline.scorers.plain import scores as scores_of

EVALUATION, SCORES, PAGE, DRAWN = "evaluation.json", "scores.parquet", "evaluation.html", "images"


@dataclass(frozen=True)
class Plan:
    """What is to be done: images left to draw, network evaluations for them, scores, and bytes of images in all."""

    models: tuple[str, ...]
    scorers: tuple[str, ...]
    prompts: int
    images: int
    left: int
    evaluations: int
    scores: int
    bytes: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found: the images of every subject, and the lines of every scorer."""

    task: Task
    subjects: tuple[Subject, ...]
    pools: Mapping[str, Pool]
    lines: tuple[Line, ...]


def plan(task: Task, subjects: Sequence[Subject], scorers: Sequence[Scorer], out: Path) -> Plan:
    """Return what an evaluation will take; nothing is drawn or written.

    Raises:
        BadInput: two subjects or two scorers have one name.
        RunConflict: the folder holds images of another model, other prompts or another seed.
    """
    _distinct(subjects, scorers)
    rows = {subject.name: left(task, subject, out / DRAWN / subject.name) for subject in subjects}
    alike = {digest.of_json(task.identity(subject)): subject.name for subject in reversed(subjects)}  # of which the first one is drawn
    rows = {name: count if name in alike.values() else 0 for name, count in rows.items()}
    return Plan(
        models=tuple(subject.name for subject in subjects),
        scorers=tuple(scorer.name for scorer in scorers),
        prompts=len(task.questions),
        images=len(subjects) * task.rows,
        left=sum(rows.values()),
        evaluations=sum(rows[subject.name] * subject.sampler.evaluations() for subject in subjects),
        scores=len(subjects) * task.rows * len(scorers),
        bytes=sum(3 * subject.side**2 * task.rows for subject in subjects),
    )


def evaluate(
    task: Task,
    subjects: Sequence[Subject],
    scorers: Sequence[Scorer],
    out: Path,
    layouts: Sequence[Layout] = (),
    prompts: Sequence[str] = (),
    progress: Progress = silent,
) -> Evaluation:
    """Return every scorer's lines about every subject, from images and scores that are kept in ``out`` and not made twice.

    Args:
        task: prompts, images a prompt, seed.
        subjects: the models.
        scorers: one column each; scores are kept in the user's cache, by image, prompt and scorer.
        out: the folder; a new scorer, subject or layout is added to what is there.
        layouts: folders to export for benchmarks.
        prompts: the files of the prompts, which GenEval's layout reads again.
        progress: opens progress bars.

    Raises:
        BadInput: two subjects or scorers have one name, or the prompts are not those of a layout's benchmark.
        RunConflict: the folder holds images of another model, other prompts or another seed, or another process works on it.
    """
    _distinct(subjects, scorers)
    for layout in layouts:
        check(layout, task, prompts)
    if any(left(task, subject, out / DRAWN / subject.name) for subject in subjects):
        _tried(scorers, task, subjects[0].side)
    with Chain(out).locked():  # a folder is one process's, whether it holds a run or an evaluation
        _sweep(out)
        return _evaluate(task, subjects, scorers, out, layouts, prompts, progress)


def _evaluate(
    task: Task,
    subjects: Sequence[Subject],
    scorers: Sequence[Scorer],
    out: Path,
    layouts: Sequence[Layout],
    prompts: Sequence[str],
    progress: Progress,
) -> Evaluation:
    pools = {subject.name: draw(task, subject, out / DRAWN / subject.name, progress) for subject in subjects}
    columns = {scorer.name: {name: scores_of(scorer, pool, progress=progress) for name, pool in pools.items()} for scorer in scorers}
    categories = np.array(task.questions.categories)
    against = {subject.name: subject.against for subject in subjects}
    shape = (len(task.questions), task.images_a_prompt)
    found = [
        line
        for name, column in columns.items()
        for line in lines(name, {subject: values.reshape(shape) for subject, values in column.items()}, against, categories)
    ]
    with replacing(out / SCORES) as temporary:
        pq.write_table(_table(task, subjects, columns), temporary)
    sealed.write(out / EVALUATION, _summary(task, subjects, scorers, pools, found))
    for layout in layouts:
        for subject in subjects:
            export(layout, task, pools[subject.name], out / layout / subject.name, prompts)
    return Evaluation(task, tuple(subjects), pools, tuple(found))


def _tried(scorers: Sequence[Scorer], task: Task, side: int) -> None:
    """Score one black image, so that a wrong weights file is found before hours of drawing, and not after."""
    one = asked(task.questions, side).real.take([0])
    for scorer in scorers:
        scorer(one, nowhere(one))


def _sweep(out: Path) -> None:
    """Take away what killed processes left half-written."""
    for leftover in out.glob("*/**/.*.tmp"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _distinct(subjects: Sequence[Subject], scorers: Sequence[Scorer]) -> None:
    for what, names, do in (
        ("models", [subject.name for subject in subjects], "rename a folder"),
        ("scorers", [scorer.name for scorer in scorers], "name one anew: NAME:WEIGHTS,name=OTHER"),
    ):
        if twice := [name for name in names if names.count(name) > 1]:
            raise BadInput(f"Two {what} have the name {twice[0]}; {do}.")


def _table(task: Task, subjects: Sequence[Subject], columns: Mapping[str, Mapping[str, Float64[np.ndarray, " n"]]]) -> pa.Table:
    each, prompts = task.images_a_prompt, len(task.questions)
    many = {
        "arm": np.repeat([subject.arm for subject in subjects], task.rows),
        "round": np.repeat([subject.round for subject in subjects], task.rows),
        "prompt": np.tile(np.repeat(np.arange(prompts), each), len(subjects)),
        "image": np.tile(np.arange(each), prompts * len(subjects)),
        "category": np.tile(np.repeat(np.array(task.questions.categories), each), len(subjects)),
    }
    return pa.table({**many, **{name: np.concatenate([column[s.name] for s in subjects]) for name, column in columns.items()}})


def _summary(
    task: Task, subjects: Sequence[Subject], scorers: Sequence[Scorer], pools: Mapping[str, Pool], found: Sequence[Line]
) -> dict[str, Json]:
    put: list[Json] = [
        {
            "arm": subject.arm,
            "round": subject.round,
            "against": subject.against,
            "drawn_again": int((pools[subject.name].columns["attempt"] > 0).sum()),
            **task.identity(subject),
        }
        for subject in subjects
    ]
    by: dict[str, Json] = {
        scorer.name: {
            "part": digest.describe(scorer),
            "preprocessing": str(getattr(scorer, "preprocessing", "")),
            "selecting": [subject.name for subject in subjects if scorer.name in subject.selecting],
        }
        for scorer in scorers
    }
    return {
        "prompts": len(task.questions),
        "images_a_prompt": task.images_a_prompt,
        "seed": task.seed,
        "subjects": put,
        "scorers": by,
        "lines": [asdict(line) for line in found],
    }
