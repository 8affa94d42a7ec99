"""What a run will cost, from a few steps measured here and now."""

import dataclasses
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from germline.core import digest
from germline.core.context import Context, Execution
from germline.core.protocols import Trainer, together
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.diffusion.precision import resolve
from germline.loop import limited_threads
from germline.trainers import Base

M = TypeVar("M")
PROBE_STEPS = 12
FEW = 2  # steps, and samples, of a pretrained pipeline: they are slow, and long enough to be timed


@dataclass(frozen=True)
class Cost:
    """Of a whole run: training images, sampled rows, bytes on disk, seconds on one thread of this machine.

    ``base_images`` of the images are a base's, which is trained once for all runs beside each other.
    """

    images: int
    rows: int
    bytes: int
    seconds: float
    base_images: int = 0

    def text(self, generations: int) -> str:
        """Return the cost in words."""
        time = f"{self.seconds / 3600:,.1f} hours" if self.seconds > 5400 else f"{self.seconds / 60:.1f} minutes"
        size = f"{self.bytes / 1e6:,.0f} MB"
        base = f"\n{self.base_images:,} of the images are the base's, which is trained once for all runs: less where it is kept."
        return (
            f"Generations 0 to {generations} train on {self.images:,} images, sample {self.rows:,} rows and keep {size};"
            f"\nabout {time} of training and sampling on one thread, timed here just now; selection and metrics come on top."
            + (base if self.base_images else "")
        )


@dataclass(frozen=True)
class Rates:
    """Seconds an image trained and a row sampled, on one thread, the bytes of a model, and what the bases cost, by their digests."""

    image: float
    row: float
    model: int
    bases: Mapping[str, Cost] = field(default_factory=dict)


def estimate(recipe: Recipe[M], data: Splits, generations: int) -> Cost | None:
    """Return the cost of generations 0 to ``generations``, or None for trainers that state no budget in images.

    A dozen training steps and one block of samples are run and timed, of a pretrained pipeline two and two; selection and metrics are
    left out.
    """
    found = rates(recipe, data)
    return total([cost(recipe, data, found, 0, generations), *found.bases.values()]) if found else None


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
        budget = getattr(trains, "images", 0)
        founder = _probe(trains, probe) if budget else recipe.founder  # without one, a pretrained model stays as it is
        founder(real, None, ctx)  # the first steps pay for warming up
        start = time.monotonic()
        model = founder(real, None, ctx)
        image = (time.monotonic() - start) / probe if budget else 0.0
        block = np.arange(min(FEW if pretrained else ctx.execution.block, recipe.sampler.n))
        start = time.monotonic()
        recipe.sampler(model, block, ctx)
        row = (time.monotonic() - start) / len(block)
        bases = {digest.of_part(base): _trained(base, ctx) for base in _bases(recipe)}
    return Rates(image, row, sum(array.nbytes for array in founder.arrays(model).values()), bases)


def _probe(trains: Trainer[M], images: int) -> Trainer[M]:
    """Return the trainer with a budget of a few images; one that something precedes says how to probe it without that."""
    of = getattr(trains, "probe", None)
    made: Trainer[M] = of(images) if callable(of) else dataclasses.replace(trains, images=images)  # type: ignore[type-var]
    return made


def _bases(part: object) -> Iterator[Base]:
    """Yield the bases among the parts of a part, at any depth."""
    if isinstance(part, Base):
        yield part
    elif isinstance(part, tuple):
        for one in part:
            yield from _bases(one)
    elif dataclasses.is_dataclass(part):
        for one in dataclasses.fields(part):
            yield from _bases(getattr(part, one.name))


def _trained(base: Base, ctx: Context) -> Cost:
    """Return what training a base costs, from a few of its steps; the network's first steps were paid for by the trainer before."""
    probe = PROBE_STEPS * base.batch
    start = time.monotonic()
    dataclasses.replace(base, images=probe, draws=probe).model(ctx)
    return Cost(base.images, 0, 0, (time.monotonic() - start) / probe * base.images, base.images)


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs."""
    images, rows, size, seconds, base = (sum(column) for column in zip(*(dataclasses.astuple(one) for one in costs), strict=True))
    return Cost(images, rows, size, seconds, base)


def cost(recipe: Recipe[M], data: Splits, found: Rates, first: int, last: int) -> Cost:
    """Return the cost of generations ``first`` to ``last`` at these rates."""
    number = last - first + 1
    founder, later = (int(getattr(trainer, "images", 0)) for trainer in (recipe.founder, recipe.trainer))
    images = number * later + (founder - later if first == 0 else 0)
    rows = number * recipe.sampler.n
    size = rows * int(np.prod(data.image_shape)) + number * found.model
    return Cost(images, rows, size, images * found.image + rows * found.row)
