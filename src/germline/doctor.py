"""What a text-to-image model needs and takes here: one image, a few weighted training steps, each scorer, and the hours of a run."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from germline.core.context import Context, Execution
from germline.core.errors import GermlineError, reason
from germline.core.pool import Pool
from germline.core.progress import Advance
from germline.core.protocols import Scorer
from germline.core.splits import Splits
from germline.diffusion.precision import resolve
from germline.loop import limited_threads
from germline.pipelines.device import best
from germline.pipelines.opened import Opened, open_pipeline
from germline.pipelines.tuned import Tuned
from germline.samplers import SamplePipeline
from germline.scorers.published import Check, checks
from germline.trainers import TunePipeline

LIBRARIES = (
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "tokenizers",
    "numpy",
    "pillow",
    "torchvision",
    "timm",
)
STEPS = 2  # of training: the first one warms up


@dataclass(frozen=True)
class Measured:
    """Images a second, and the largest memory in bytes: of the device where there is one, else of this process so far."""

    images_per_second: float
    peak: int


@dataclass(frozen=True)
class Scored:
    """A scorer's number for the image that was drawn, and published numbers beside what it gives."""

    name: str
    score: float
    measured: Measured
    published: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Run:
    """Generations 0 to ``generations``, each training on ``images`` images seen and sampling ``rows``."""

    generations: int = 5
    images: int = 8_000
    rows: int = 1_000

    def hours(self, report: Report) -> float:
        """Return what they take at the measured rates, scores of every sampled row too."""
        a_row = 1 / report.sampling.images_per_second + sum(1 / scored.measured.images_per_second for scored in report.scorers)
        return (self.generations + 1) * (self.images / report.training.images_per_second + self.rows * a_row) / 3600


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        kind: the family of the pipeline.
        size: pixels a side.
        versions: of the libraries that are there, and of Python.
        device: where the networks compute.
        precision: in what they compute when sampling and when training.
        sampling: of one image.
        evaluations: network evaluations of it.
        training: of one weighted step.
        batch: rows of the step.
        trained: numbers that train.
        scorers: those asked for.
        run: what the hours are of.
        hours: of the run.
        warnings: what in this environment breaks imports.
    """

    kind: str
    size: int
    versions: dict[str, str]
    device: str
    precision: tuple[str, str]
    sampling: Measured
    evaluations: int
    training: Measured
    batch: int
    trained: int
    scorers: tuple[Scored, ...] = ()
    run: Run = field(default_factory=Run)
    hours: float = 0.0
    warnings: tuple[str, ...] = ()


def examine(
    tuner: TunePipeline,
    sampler: SamplePipeline,
    prompt: str,
    scorers: Sequence[Scorer] = (),
    pictures: Path | None = None,
    run: Run | None = None,
) -> Report:
    """Draw one image of the prompt, train ``STEPS`` steps on it with rows of unequal weight, and score it.

    Args:
        tuner: how the loop would train; its budget is cut to these steps.
        sampler: how it would sample.
        prompt: of the image.
        scorers: are run on the image, and held against published numbers.
        pictures: a folder with pictures that authors of scorers published numbers for.
        run: what to reckon the hours of.

    Raises:
        GermlineError: the model cannot be opened, drawn from, trained or scored here; the message says what to do.
    """
    warnings, of = environment(), run or Run()
    opened = _opened(tuner, warnings)
    side = opened.size if sampler.size is None else sampler.size
    with tempfile.TemporaryDirectory() as scratch, limited_threads(1):
        blank = Pool.of(np.zeros((1, side, side, 3), np.uint8), np.array([prompt]))
        data = Splits("doctor", (), *([blank] * 4))
        ctx = Context(0, 0, data, execution=Execution(precision=resolve("auto")), scratch=Path(scratch))
        image, sampling = _drawn(opened, sampler, ctx)
        training, trained = _trained(opened, tuner, image, ctx)
        scored = tuple(_scored(scorer, image, pictures, ctx) for scorer in scorers)
    precision = tuple(ctx.execution.precision if part.precision == "auto" else part.precision for part in (sampler, tuner))
    report = Report(
        opened.kind,
        side,
        versions(),
        device(),
        (precision[0], precision[1]),
        sampling,
        sampler.evaluations(),
        training,
        tuner.batch,
        trained,
        scored,
        of,
        warnings=warnings,
    )
    return replace(report, hours=of.hours(report))


def environment() -> tuple[str, ...]:
    """Return what is installed here that breaks the import of what a pipeline needs; nothing of it is needed itself."""
    found = []
    for name, breaks in (("torchvision", "CLIP, diffusers' pipelines and peft"), ("timm", "accelerate")):
        if importlib.util.find_spec(name) is None:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:
            found.append(
                f"{name} {_version(name)} does not import beside torch {torch.__version__} ({reason(error)}), and so breaks the import"
                f" of {breaks}: pip uninstall {name}, or install the one that fits. germline needs none."
            )
    return tuple(found)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that are there."""
    known = {name: _version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **{name: found for name, found in known.items() if found}}


def device() -> str:
    """Return where networks compute, in words."""
    where = best()
    return torch.cuda.get_device_name(where) if where.type == "cuda" else f"cpu, {platform.machine()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _opened(tuner: TunePipeline, warnings: tuple[str, ...]) -> Opened:
    try:
        return open_pipeline(tuner.base, tuner.revision)
    except GermlineError as error:
        raise GermlineError("\n".join([str(error), *warnings])) from error
    except Exception as error:
        if not warnings:  # then it is no fault of the environment that is known here
            raise
        raise GermlineError("\n".join([f"The model cannot be opened: {reason(error)}", *warnings])) from error


def _drawn(opened: Opened, sampler: SamplePipeline, ctx: Context) -> tuple[Pool, Measured]:
    model = Tuned(opened)
    replace(sampler, n=1, steps=1)(model, [0], ctx)  # warms up
    with _peak() as peak:
        start = time.perf_counter()
        made = replace(sampler, n=1)(model, [0], ctx)
        seconds = time.perf_counter() - start
    return made, Measured(1 / seconds, peak[0])


def _trained(opened: Opened, tuner: TunePipeline, image: Pool, ctx: Context) -> tuple[Measured, int]:
    """Return the rate of the last step and how many numbers train; rows have weights 1 and 2 by turns."""
    rows = image.take(np.zeros(2, np.int64)).weighed(np.log([1.0, 2.0]))
    clock = _Clock()
    with _peak() as peak:
        made = replace(tuner, images=STEPS * tuner.batch, previews=())(rows, None, replace(ctx, progress=clock.open))
    last = made.last()
    if not any(np.any(array) for name, array in last.items() if not name.endswith(".down")):
        raise GermlineError("After the training steps nothing has changed; the learning rate, or the precision, is too low.")
    return Measured(tuner.batch / clock.last(), peak[0]), sum(array.size for array in last.values())


def _scored(scorer: Scorer, image: Pool, pictures: Path | None, ctx: Context) -> Scored:
    scorer(Pool.of(image.images[:] ^ 1, image.condition), ctx)  # opens the network
    with _peak() as peak:
        start = time.perf_counter()
        score = float(scorer(image, ctx)[0])
        seconds = time.perf_counter() - start
    return Scored(scorer.name, score, Measured(1 / seconds, peak[0]), tuple(checks(scorer, pictures, ctx)))


class _Clock:
    """A progress that notes when it advanced."""

    def __init__(self) -> None:
        self._times: list[float] = []

    @contextmanager
    def open(self, what: str, total: int) -> Iterator[Advance]:
        """Note the times of training."""
        yield (lambda _: self._times.append(time.perf_counter())) if what.endswith("train") else lambda _: None

    def last(self) -> float:
        """Return the seconds of the last step."""
        return self._times[-1] - self._times[-2]


@contextmanager
def _peak() -> Iterator[list[int]]:
    """Yield a list that then holds the largest memory in bytes."""
    found, cuda = [0], torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    yield found
    unit = 1 if sys.platform == "darwin" else 1024
    found[0] = torch.cuda.max_memory_allocated() if cuda else unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
