"""What a run will cost, from a few steps measured here and now."""

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from germline.core.context import Context, Execution
from germline.core.protocols import together
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.diffusion.precision import resolve
from germline.loop import limited_threads

M = TypeVar("M")
PROBE_STEPS = 12
FEW = 2  # steps, and samples, of a pretrained pipeline: they are slow, and long enough to be timed


@dataclass(frozen=True)
class Cost:
    """Of a whole run: training images, sampled rows, bytes on disk, seconds on one thread of this machine."""

    images: int
    rows: int
    bytes: int
    seconds: float

    def text(self, generations: int) -> str:
        """Return the cost in words."""
        time = f"{self.seconds / 3600:,.1f} hours" if self.seconds > 5400 else f"{self.seconds / 60:.1f} minutes"
        size = f"{self.bytes / 1e6:,.0f} MB"
        return (
            f"Generations 0 to {generations} train on {self.images:,} images, sample {self.rows:,} rows and keep {size};"
            f"\nabout {time} of training and sampling on one thread, timed here just now; selection and metrics come on top."
        )


@dataclass(frozen=True)
class Rates:
    """Seconds an image trained and a row sampled, on one thread, and the bytes of a model."""

    image: float
    row: float
    model: int


def estimate(recipe: Recipe[M], data: Splits, generations: int) -> Cost | None:
    """Return the cost of generations 0 to ``generations``, or None for trainers that state no budget in images.

    A dozen training steps and one block of samples are run and timed, of a pretrained pipeline two and two; selection and metrics are
    left out.
    """
    found = rates(recipe, data)
    return cost(recipe, data, found, 0, generations) if found else None


def rates(recipe: Recipe[M], data: Splits) -> Rates | None:
    """Return what a few training steps and samples take here and now; None for trainers without a budget in images."""
    if not all(isinstance(getattr(trainer, "images", None), int) for trainer in (recipe.founder, recipe.trainer)):
        return None
    with tempfile.TemporaryDirectory() as scratch, limited_threads(1):
        ctx = Context(0, 0, data, execution=Execution(precision=resolve("auto")), scratch=Path(scratch))
        trains = recipe.founder if getattr(recipe.founder, "images", 0) else recipe.trainer  # a founder may open what others trained
        pretrained, batch = together(trains), int(getattr(trains, "batch", 64))
        probe = (FEW if pretrained else PROBE_STEPS) * batch
        real = data.real.take(np.arange(min(batch, len(data.real)))) if pretrained else data.real  # not all are to be encoded
        # A trainer that something precedes says how to probe it without that.
        of = getattr(trains, "probe", None)
        founder = of(probe) if callable(of) else dataclasses.replace(trains, images=probe)  # type: ignore[type-var]
        founder(real, None, ctx)  # the first steps pay for warming up
        start = time.monotonic()
        model = founder(real, None, ctx)
        image = (time.monotonic() - start) / probe
        block = np.arange(min(FEW if pretrained else ctx.execution.block, recipe.sampler.n))
        start = time.monotonic()
        recipe.sampler(model, block, ctx)
        row = (time.monotonic() - start) / len(block)
    return Rates(image, row, sum(array.nbytes for array in founder.arrays(model).values()))


def cost(recipe: Recipe[M], data: Splits, found: Rates, first: int, last: int) -> Cost:
    """Return the cost of generations ``first`` to ``last`` at these rates."""
    number = last - first + 1
    founder, later = (int(getattr(trainer, "images", 0)) for trainer in (recipe.founder, recipe.trainer))
    images = number * later + (founder - later if first == 0 else 0)
    rows = number * recipe.sampler.n
    size = rows * int(np.prod(data.image_shape)) + number * found.model
    return Cost(images, rows, size, images * found.image + rows * found.row)
