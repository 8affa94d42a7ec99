"""The images of one model for all prompts, drawn in blocks of rows that a kill cannot lose, from noise that all models share."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from germline.core import digest, sealed
from germline.core.atomic import replacing
from germline.core.context import Context, Execution
from germline.core.digest import Json
from germline.core.errors import RunConflict
from germline.core.generation import IMAGES, ROWS, column_of
from germline.core.pool import Pool, Source
from germline.core.progress import Progress, silent
from germline.core.splits import Splits
from germline.evaluate.questions import Questions
from germline.loop import limited_threads
from germline.pipelines.tuned import Tuned
from germline.samplers import SamplePipeline

NOISE = 1 << 20  # the generation that noise is drawn for: none that a chain has, so no model was trained on images from it
BLOCK = 64  # rows between two writes, about
SUBJECT, SCRATCH = "subject.json", "scratch"


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that is asked: a round of a run, or a pipeline.

    Attributes:
        arm: the run's or the pipeline's name.
        round: the generation; 0 for a pipeline.
        digest: of what decides the model.
        sampler: how it is drawn from.
        model: opens it.
        side: pixels a side of its images.
        execution: precision and threads.
        against: the subject that it is compared with, in pairs; None for one that others are compared with.
        selecting: names of the scorers that its training rows were chosen by.
    """

    arm: str
    round: int
    digest: str
    sampler: SamplePipeline
    model: Callable[[], Tuned]
    side: int
    execution: Execution = field(default_factory=Execution)
    against: str | None = None
    selecting: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.arm}-{self.round:03d}"


@dataclass(frozen=True)
class Task:
    """Prompts, how many images each, and the seed of their noise."""

    questions: Questions
    images_a_prompt: int
    seed: int = 0

    @property
    def rows(self) -> int:
        """Images a model."""
        return len(self.questions) * self.images_a_prompt

    @property
    def prompts(self) -> np.ndarray:
        """The prompt of every row: those of one prompt stand together."""
        return np.repeat(np.array(self.questions.prompts), self.images_a_prompt)

    def identity(self, subject: Subject) -> dict[str, Json]:
        """Return what decides the images of a subject."""
        sampler = replace(subject.sampler, n=1, images_a_prompt=1)
        return {
            "prompts": self.questions.digest,
            "images_a_prompt": self.images_a_prompt,
            "seed": self.seed,
            "model": subject.digest,
            "sampler": digest.describe(sampler),
            "execution": {"precision": subject.execution.precision, "threads": subject.execution.threads, "block": block_of(subject)},
        }


def block_of(subject: Subject) -> int:
    """Return how many rows are drawn between two writes: whole batches, since a row's batch may change a pixel by 1/255."""
    batch = subject.sampler.batch
    return max(batch, BLOCK - BLOCK % batch)


def blocks(task: Task, subject: Subject) -> list[range]:
    """Return the rows of every block."""
    size = block_of(subject)
    return [range(start, min(start + size, task.rows)) for start in range(0, task.rows, size)]


def left(task: Task, subject: Subject, folder: Path) -> int:
    """Return how many rows are still to be drawn in a folder; nothing is written.

    Raises:
        RunConflict: the folder holds images of another model, other prompts, or another seed.
    """
    now = task.identity(subject)
    if (folder / SUBJECT).exists() and (was := sealed.read(folder / SUBJECT)) != now:
        other = ", ".join(key for key in now if now[key] != was.get(key))
        raise RunConflict(f"{folder} holds images of another {other}. Ask as it was asked, or give another --out.")
    if (folder / ROWS).exists() or _twin(task, subject, folder) is not None:
        return 0
    return sum(len(rows) for rows in blocks(task, subject) if not _place(folder, rows).exists())


def draw(task: Task, subject: Subject, folder: Path, progress: Progress = silent) -> Pool:
    """Return the images of a subject, those of a prompt side by side; what lies in the folder, or beside it, is not drawn again.

    Row i starts from the same noise for every subject: (seed, row), and nothing else. Column ``attempt``: see SamplePipeline.

    Raises:
        RunConflict: the folder holds images of another model, other prompts, or another seed.
        GermlineError: the model cannot be opened, or an image comes out blank at every attempt.
    """
    left(task, subject, folder)
    if not (folder / SUBJECT).exists():
        sealed.write(folder / SUBJECT, task.identity(subject))
    if not (folder / ROWS).exists():
        if twin := _twin(task, subject, folder):
            _linked(twin, folder)
        else:
            _draw(task, subject, folder, progress)
            _join(task, subject, folder)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    attempt = column_of(pq.read_table(folder / ROWS), "attempt")
    return Pool.of(Source.open(folder / IMAGES), task.prompts, NOISE, {"attempt": attempt})


def asked(questions: Questions, side: int) -> Splits:
    """Return a data set that is nothing but prompts, for samplers that read them there: all its images are one, which is black."""
    black = np.broadcast_to(np.zeros((1, side, side, 3), np.uint8), (len(questions), side, side, 3))
    pool = Pool.of(black, np.array(questions.prompts))
    return Splits("prompts", (), pool, pool, pool, pool)


def _twin(task: Task, subject: Subject, folder: Path) -> Path | None:
    """Return a folder beside this one that holds the same images, all of them: the arms of a study have one generation 0."""
    now = task.identity(subject)
    beside = (file.parent for file in sorted(folder.parent.glob(f"*/{SUBJECT}")))
    return next((one for one in beside if one != folder and (one / ROWS).exists() and sealed.read(one / SUBJECT) == now), None)


def _linked(twin: Path, folder: Path) -> None:
    """Link the images of a twin, the table last, which says that they are whole; copy them where the disk has no links."""
    for name in (IMAGES, ROWS):
        with replacing(folder / name) as temporary:
            try:
                os.link(twin / name, temporary)
            except OSError:
                shutil.copyfile(twin / name, temporary)


def _draw(task: Task, subject: Subject, folder: Path, progress: Progress) -> None:
    model = subject.model()
    sampler = replace(subject.sampler, n=task.rows, images_a_prompt=task.images_a_prompt)
    ctx = Context(NOISE, task.seed, asked(task.questions, subject.side), execution=subject.execution, scratch=folder / SCRATCH)
    with progress(f"{subject.name}: draw", task.rows) as advance, limited_threads(subject.execution.threads):
        for rows in blocks(task, subject):
            if _read(_place(folder, rows)) is None:
                pool = sampler(model, np.arange(rows.start, rows.stop), ctx)
                with replacing(_place(folder, rows)) as temporary, temporary.open("wb") as file:
                    np.savez(file, images=pool.images[:], attempt=pool.columns["attempt"])
            advance(len(rows))


def _place(folder: Path, rows: range) -> Path:
    return folder / SCRATCH / f"rows_{rows.start:08d}.npz"


def _read(path: Path) -> Mapping[str, np.ndarray] | None:
    """Return a block; None where there is none, or it is damaged: it is drawn again."""
    try:
        with np.load(path, allow_pickle=False) as block:
            return dict(block)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _join(task: Task, subject: Subject, folder: Path) -> None:
    """Write all blocks as one file that can be mapped; the table beside it comes last and says that it is whole."""
    attempts = []
    with replacing(folder / IMAGES) as temporary:
        whole = None
        for rows in blocks(task, subject):
            block = _read(_place(folder, rows))
            assert block is not None
            if whole is None:
                whole = np.lib.format.open_memmap(temporary, "w+", np.uint8, (task.rows, *block["images"].shape[1:]))
            whole[rows.start : rows.stop] = block["images"]
            attempts.append(block["attempt"])
        assert whole is not None
        whole.flush()
    with replacing(folder / ROWS) as temporary:
        pq.write_table(pa.table({"condition": task.prompts, "attempt": np.concatenate(attempts)}), temporary)
