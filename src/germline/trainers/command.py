"""Any program as the trainer: it is given images, and what it leaves in a folder is the model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from germline.core import digest
from germline.core.command import Command
from germline.core.context import Context
from germline.core.digest import OF_NO_CONSEQUENCE
from germline.core.exchange import Files, Format, fresh, get_files, put_data, put_files
from germline.core.pool import Pool

PLACES = ("data", "previous", "out", "seed", "n", "generation", "classes")


@dataclass(frozen=True)
class CommandTrainer:
    """Run ``command`` on T_g; the files that it leaves in ``{out}`` are M_g, whatever they are. Source: ours.

    Its places: ``{data}``, T_g as a .npz file or a folder of PNGs, as ``format`` says (see core.exchange); ``{previous}``, a folder with
    the files of M_{g-1}, empty in generation 0; ``{out}``, an empty folder; ``{seed}``, another number for each generation; ``{n}``,
    rows of T_g; ``{generation}``; ``{classes}``, their number. The program starts in the folder that germline was started in.

    ``files`` are those of the program: their content is part of a run's identity. After a kill the command starts again, from an empty
    ``{out}``, or, if it is ``resumable``, from what it left there. All that it prints is in train.log beside the record.

    Raises:
        BadInput: the command has unknown places or lacks ``{data}`` or ``{out}``; it left nothing.
        GermlineError: it failed or took longer than ``timeout`` seconds.
    """

    command: str
    format: Format = "npz"
    files: tuple[Path, ...] = ()
    shell: bool = False
    resumable: bool = field(default=False, metadata=OF_NO_CONSEQUENCE)
    timeout: float | None = field(default=None, metadata=OF_NO_CONSEQUENCE)

    def __post_init__(self) -> None:
        self._line.check("CommandTrainer", PLACES, [("data",), ("out",)])

    @property
    def _line(self) -> Command:
        return Command(self.command, self.timeout, self.shell)

    def __call__(self, data: Pool, previous: Files | None, ctx: Context) -> Files:
        """Return the files that the command left."""
        key: digest.Json = [
            digest.describe(self),
            digest.of_array(data.origin),
            digest.of_array(data.log_weight),
            [*sorted(previous or ())],
        ]
        work = ctx.scratch.absolute() / f"train-{digest.of_json(key)[:16]}"
        out, done = work / "out", work / "finished"
        if not done.exists():
            out.mkdir(parents=True, exist_ok=True)
            self._train(data, previous, ctx, work)
            get_files(out, "CommandTrainer")
            done.touch()
        return get_files(out, "CommandTrainer")

    def _train(self, data: Pool, previous: Files | None, ctx: Context, work: Path) -> None:
        given = fresh(work / "given")
        put_files(previous or {}, given / "previous")
        values = {
            "data": str(put_data(data, ctx.data.classes, given, self.format)),
            "previous": str(given / "previous"),
            "out": str(work / "out"),
            "seed": str(ctx.rng("command/train").integers(1 << 31)),
            "n": str(len(data)),
            "generation": str(ctx.generation),
            "classes": str(len(ctx.data.classes)),
        }
        clean = None if self.resumable else work / "out"
        log = ctx.scratch.absolute().parent / "train.log"
        self._line.run(f"generation {ctx.generation}: train", values, work, log, ctx.progress, clean)
        shutil.rmtree(given)

    def arrays(self, model: Files) -> Files:
        """Return the files as arrays of bytes."""
        return model

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Files:
        """Return the files."""
        return arrays
