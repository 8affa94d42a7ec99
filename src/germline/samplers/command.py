"""Any program as the sampler: it is given the files of a model, and leaves images."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from germline.core import digest
from germline.core.atomic import replacing
from germline.core.command import Command
from germline.core.context import Context
from germline.core.digest import OF_NO_CONSEQUENCE
from germline.core.errors import BadInput
from germline.core.exchange import Files, Made, fresh, get_images, put_files, put_rows
from germline.core.pool import Pool, Rows

PLACES = ("model", "out", "n", "seed", "rows", "generation", "classes")
WHO = "CommandSampler"


@dataclass(frozen=True)
class CommandSampler:
    """Run ``command`` once a generation; it must leave ``n`` images in ``{out}``. Source: ours.

    Its places: ``{model}``, a folder with the files that the trainer's command left; ``{out}``, an empty folder; ``{n}``; ``{seed}``,
    another number for each generation; ``{rows}``, a CSV file of what is asked for: row, label and class (or text), and a seed of its
    own for each row; ``{generation}``; ``{classes}``, their number. Row i is of class i mod C, or has the prompt of real row i.

    It leaves one .npz (``images``, and ``labels`` if it tells them), one .npy, or pictures, in the order of ``{rows}``. Told labels
    (also by a folder a class) must be as many of each class as were asked for; images then go to the rows of their class, in order.
    Row i does not depend on ``n`` if the program draws it from its own seed, which germline cannot check.

    Raises:
        BadInput: the command has unknown places or lacks some; it left too few images, or others than were asked for.
        GermlineError: it failed or took longer than ``timeout`` seconds.
    """

    command: str
    n: int = 2_000
    files: tuple[Path, ...] = ()
    shell: bool = False
    timeout: float | None = field(default=None, metadata=OF_NO_CONSEQUENCE)

    def __post_init__(self) -> None:
        self._line.check(WHO, PLACES, [("model",), ("out",), ("n", "rows")])

    @property
    def _line(self) -> Command:
        return Command(self.command, self.timeout, self.shell)

    def __call__(self, model: Files, rows: Rows, ctx: Context) -> Pool:
        """Return one image for each of the given rows; all n are made when the first are asked for."""
        rows = np.asarray(rows, np.int64)
        if rows.max() >= self.n:
            raise BadInput(f"{WHO} makes rows 0 to {self.n - 1}, but was asked for row {rows.max()}; raise n.")
        key: digest.Json = [digest.describe(self), {name: digest.of_array(content) for name, content in model.items()}]
        work = ctx.scratch.absolute() / f"sample-{digest.of_json(key)[:16]}"
        if not (work / "images.npy").exists():
            self._sample(model, ctx, work)
        images = np.load(work / "images.npy", mmap_mode="r", allow_pickle=False)
        return Pool.of(images[rows], self._asked(ctx)[rows], ctx.generation)

    def _sample(self, model: Files, ctx: Context, work: Path) -> None:
        given = fresh(work / "given")
        put_files(model, given / "model")
        asked, rows = self._asked(ctx), np.arange(self.n)
        put_rows(given / "rows.csv", rows, asked, ctx.data.classes, ctx.rng("command/rows").integers(1 << 31, size=self.n))
        values = {
            "model": str(given / "model"),
            "out": str(work / "out"),
            "n": str(self.n),
            "seed": str(ctx.rng("command/sample").integers(1 << 31)),
            "rows": str(given / "rows.csv"),
            "generation": str(ctx.generation),
            "classes": str(len(ctx.data.classes)),
        }
        log = ctx.scratch.absolute().parent / "sample.log"
        self._line.run(f"generation {ctx.generation}: sample", values, work, log, ctx.progress, work / "out")
        made = get_images(work / "out", ctx.data.image_shape, ctx.data.classes, WHO)
        images = made.images[placed(made, asked, ctx.data.classes)]
        with replacing(work / "images.npy") as temporary, temporary.open("wb") as file:
            np.save(file, images, allow_pickle=False)
        for folder in (given, work / "out"):
            shutil.rmtree(folder)

    def _asked(self, ctx: Context) -> np.ndarray:
        """Return the condition of every row."""
        rows = np.arange(self.n, dtype=np.int64)
        prompts: np.ndarray = ctx.data.real.condition[rows % len(ctx.data.real)]
        return rows % len(ctx.data.classes) if ctx.data.classes else prompts


def placed(made: Made, asked: np.ndarray, classes: tuple[str, ...]) -> Int[np.ndarray, " n"]:
    """Return for each row asked for the number of its image: in order, or, where labels are told, in order within its class.

    Raises:
        BadInput: there are more or fewer images than rows, in all or of one class.
    """
    if len(made.images) != len(asked):
        raise BadInput(f"{WHO} was asked for {len(asked)} images, but its command left {len(made.images)}.")
    if made.labels is None or not classes:
        return np.arange(len(asked))
    wanted, got = (np.bincount(labels, minlength=len(classes)) for labels in (asked, made.labels))
    if (bad := np.flatnonzero(wanted != got)).size:
        name = classes[bad[0]]
        raise BadInput(f"{WHO} was asked for {wanted[bad[0]]} images of class {name!r}, but its command left {got[bad[0]]} of it.")
    out = np.empty(len(asked), np.int64)
    out[np.argsort(asked, kind="stable")] = np.argsort(made.labels, kind="stable")
    return out
