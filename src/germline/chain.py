"""A run on disk: an append-only chain of generations, each sealed by a record that names its parent and every file's hash."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from germline.core import digest, sealed
from germline.core.atomic import replacing
from germline.core.cache import Cache
from germline.core.context import Context, Execution
from germline.core.digest import Json
from germline.core.errors import Corrupt, GermlineError, RunConflict
from germline.core.generation import CHOICE, IMAGES, MODEL, RECORD, ROWS, Generation, Restore, folder
from germline.core.progress import Progress, silent
from germline.core.splits import Splits

CONFIG, FORK, DRIFT, LOCK = "config.json", "fork.json", "drift.json", ".lock"
METRICS, TIMING, SCRATCH = "metrics.json", "timing.jsonl", "scratch"
FILES = (CHOICE, MODEL, ROWS, IMAGES)  # in the order they are made: where a file is, those before it are too


@dataclass(frozen=True, eq=False)
class Chain:
    """The generations of a run folder.

    ``restore`` turns the arrays of a later generation's model into the model, ``restore_founder`` those of generation 0.
    """

    path: Path
    restore_founder: Restore | None = None
    restore: Restore | None = None

    @property
    def config(self) -> dict[str, Json]:
        """The content of config.json: recipe, parts, seed, data, versions, execution."""
        if not (self.path / CONFIG).exists():
            raise RunConflict(
                f"{self.path} holds no run (no {CONFIG}). Give the folder of a run, or start one: germline run RECIPE --out {self.path}"
            )
        return sealed.read(self.path / CONFIG)

    def refuse_adopted(self, verb: str) -> None:
        """Raise if the run was adopted from folders: it has no trainer.

        Raises:
            RunConflict: it was.
        """
        names = self.config["names"] if (self.path / CONFIG).exists() else None
        if isinstance(names, dict) and "adopted" in names:
            raise RunConflict(
                f"{self.path} was adopted from folders: it has no trainer, so {verb} cannot go on with it. Give another --out;"
                " to add generations, adopt the longer chain into a new folder."
            )

    @property
    def seed(self) -> int:
        """The seed of every random draw."""
        return int(str(self.config["seed"]))

    @property
    def execution(self) -> Execution:
        """How the run computes, as it was resolved when it began."""
        how = self.config["execution"]
        assert isinstance(how, dict)
        return Execution(str(how["precision"]), int(str(how["threads"])), int(str(how["block"])))

    @property
    def cache(self) -> Cache:
        """Features and fits, in one folder beside the run, shared by its forks and the arms of its study."""
        return Cache(self.path.parent / ".cache")

    def __len__(self) -> int:
        number = 0
        while (self.path / folder(number) / RECORD).exists():
            number += 1
        return number

    def __getitem__(self, number: int) -> Generation:
        return self.generations()[number]

    def generations(self) -> tuple[Generation, ...]:
        """Return the finished generations, in order."""
        done: tuple[Generation, ...] = ()
        for number in range(len(self)):
            done = (*done, self.open(number, done))
        return done

    def open(self, number: int, earlier: tuple[Generation, ...]) -> Generation:
        """Return generation ``number``, finished or not."""
        return Generation(number, self.path / folder(number), earlier, self.restore if number else self.restore_founder)

    def context(self, number: int, data: Splits, progress: Progress = silent) -> Context:
        """Return the view of generation ``number`` on the generations before it; for a finished one, on itself too."""
        return Context(
            generation=number,
            seed=self.seed,
            data=data,
            generations=self.generations()[: number + 1],
            execution=self.execution,
            cache=self.cache,
            scratch=self.path / folder(number) / SCRATCH,
            progress=progress,
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; leftovers of killed ones are swept.

        Raises:
            RunConflict: another process works on this run.
            GermlineError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise GermlineError(f"Cannot write in {self.path}: {error.strerror}. Fix its permissions or give another --out.") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunConflict(f"Another process is working on {self.path}. Wait for it, stop it, or give another --out.") from None
            self._sweep()
            yield
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        for leftover in [*self.path.glob(".*.tmp"), *self.path.glob("gen_*/.*.tmp"), *self.path.glob("gen_*/scratch/**/.*.tmp")]:
            leftover.unlink(missing_ok=True)
        for record in self.path.glob(f"gen_*/{RECORD}"):
            shutil.rmtree(record.parent / SCRATCH, ignore_errors=True)

    def seal(self, number: int, parts: str, about: Mapping[str, Json], files: Sequence[str] = FILES) -> Generation:
        """Write the record of a generation whose files are all there, last of all, and drop its scratch folder."""
        here = self.path / folder(number)
        record: dict[str, Json] = {
            **about,
            "generation": number,
            "parent": self[number - 1].digest if number else None,
            "parts": parts,
            "files": {name: digest.of_file(here / name) for name in files},
        }
        sealed.write(here / RECORD, record)
        shutil.rmtree(here / SCRATCH, ignore_errors=True)
        return self[number]

    @contextmanager
    def timed(self, number: int, stage: str) -> Iterator[None]:
        """Append the wall and CPU seconds of a stage to the generation's timing file."""
        wall, cpu = time.monotonic(), time.process_time()
        yield
        entry: dict[str, Json] = {"stage": stage, "wall": round(time.monotonic() - wall, 3), "cpu": round(time.process_time() - cpu, 3)}
        with suppress(OSError), (self.path / folder(number) / TIMING).open("a") as file:
            file.write(sealed.line(entry))

    def timing(self, number: int) -> list[dict[str, Json]]:
        """Return the timing entries of a generation, in the order they were written."""
        path = self.path / folder(number) / TIMING
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [sealed.parse_line(line, f"{path}, line {i + 1}") for i, line in enumerate(lines)]

    def check(self) -> list[Path]:
        """Walk every hash of the run and return the files checked.

        Raises:
            Corrupt: names the first file that is missing or changed.
        """
        seen: list[Path] = []
        for name in (CONFIG, FORK, DRIFT):
            if (self.path / name).exists():
                sealed.read(self.path / name)
                seen.append(self.path / name)
        if (self.path / CONFIG).exists() and isinstance(files := self.config.get("files"), dict):
            seen += [_unchanged(self.path / name, str(expected), "adopt it again") for name, expected in files.items()]
        for number in range(self._expected()):
            seen += self._check(number)
        return seen

    def _expected(self) -> int:
        """Return how many generations the folders promise; a gap is an error that ``_check`` finds."""
        numbers = [int(path.parent.name[4:]) for path in self.path.glob(f"gen_*/{RECORD}")]
        return max(numbers, default=-1) + 1

    def _check(self, number: int) -> list[Path]:
        here = self.path / folder(number)
        record = sealed.read(here / RECORD)
        parent = digest.of_file(self.path / folder(number - 1) / RECORD) if number else None
        if record["parent"] != parent:
            raise Corrupt(
                f"{here / RECORD} does not follow {folder(number - 1)}: the parent's record is another. Restore both from one copy."
            )
        files = record["files"]
        assert isinstance(files, dict)
        for name, expected in files.items():
            _unchanged(here / name, str(expected), f"fork from {folder(number - 1)}")
        if (here / METRICS).exists():
            sealed.read(here / METRICS)
        self.timing(number)
        beside = [here / name for name in (METRICS, TIMING) if (here / name).exists()]
        return [here / RECORD, *(here / name for name in files), *beside]


def _unchanged(path: Path, expected: str, else_do: str) -> Path:
    """Return a file's path after comparing its hash with the recorded one."""
    if not path.exists():
        raise Corrupt(f"{path} is missing. Take it from a copy of the run, or {else_do}.")
    if digest.of_file(path) != expected:
        raise Corrupt(f"{path} is damaged: its hash is not the recorded one. Take it from a copy of the run.")
    return path


def link(source: Path, to: Path) -> None:
    """Hard-link a file, or copy it where links are impossible. What is there already stays."""
    if to.exists():
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, to)
    except OSError:
        with replacing(to) as temporary:
            shutil.copyfile(source, temporary)


def fork(source: Path, to: Path, generation: int) -> Chain:
    """Start a run in ``to`` from the generations 0..``generation`` of the run in ``source``; the next run there goes on.

    Raises:
        RunConflict: ``to`` holds a run already, or ``source`` has no such generation.
    """
    chain = Chain(source)
    chain.refuse_adopted("fork")
    if generation >= len(chain) or generation < 0:
        raise RunConflict(f"{source} has generations 0 to {len(chain) - 1}, so it cannot be forked at {generation}.")
    if (to / CONFIG).exists() or (to / FORK).exists():
        raise RunConflict(f"{to} holds a run already; fork into a new folder.")
    for number in range(generation + 1):
        for name in (*FILES, RECORD):
            link(source / folder(number) / name, to / folder(number) / name)
        for name in (METRICS, TIMING):
            with suppress(FileNotFoundError):
                shutil.copyfile(source / folder(number) / name, to / folder(number) / name)
    sealed.write(to / FORK, {"generation": generation, "record": chain[generation].digest, "config": chain.config})
    return Chain(to)


def share_founder(source: Path, to: Path, samples: bool) -> None:
    """Give the run in ``to`` the founder of the run in ``source``: equal seed, data and founder make equal models.

    ``samples`` says whether the samplers are equal too; else ``to`` draws its own.
    """
    for name in FILES if samples else (CHOICE, MODEL):
        link(source / folder(0) / name, to / folder(0) / name)
