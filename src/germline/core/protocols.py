"""The eight kinds of parts. A part is a frozen dataclass whose fields are its configuration; it holds no tensors and no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from germline.core.measurement import Measurement
from germline.core.pool import Pool, Rows

if TYPE_CHECKING:
    from germline.core.context import Context
    from germline.core.evidence import Evidence

M = TypeVar("M")
Made = TypeVar("Made", contravariant=True)


@runtime_checkable
class Mixer(Protocol):
    """The rows on offer to this generation."""

    def __call__(self, ctx: Context) -> Pool:
        """Return the offer of generation ``ctx.generation`` (at least 1)."""
        ...


@runtime_checkable
class Extractor(Protocol):
    """Features of images. Call it through ``ctx.features``, which caches.

    A class attribute or property ``needs`` names what else the features depend on: "judge" (something is fitted on the
    judge split), "founder" (generation 0's network is read). ``cached = False`` is for features that are cheaper to make than to keep.
    """

    def __call__(self, pool: Pool, ctx: Context) -> Float[np.ndarray, "n f"]:
        """Return one feature vector a row. Conditions must not be read: a row's own label would leak into its features."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """One number a row, more is better. ``name`` is the column the scores lie in."""

    @property
    def name(self) -> str:
        """The column's name."""
        ...

    def __call__(self, pool: Pool, ctx: Context) -> Float[np.ndarray, " n"]:
        """Return one score a row."""
        ...


@runtime_checkable
class Weighter(Protocol):
    """Log-weights; those of several weighters add up; -inf leaves a row out before selection."""

    def __call__(self, pool: Pool, ctx: Context) -> Float[np.ndarray, " n"]:
        """Return one log-weight a row."""
        ...


@runtime_checkable
class Selector(Protocol):
    """Which rows are trained on."""

    def __call__(self, pool: Pool, ctx: Context) -> Int[np.ndarray, " m"]:
        """Return distinct row numbers of the pool, in order of choice."""
        ...


class Trainer(Protocol[M]):
    """Makes a model. The budget is the number of images seen, never epochs."""

    def __call__(self, data: Pool, previous: M | None, ctx: Context) -> M:
        """Return the model trained on ``data``; ``previous`` is M_{g-1}, or None for generation 0."""
        ...

    def arrays(self, model: M) -> Mapping[str, np.ndarray]:
        """Return the model as named arrays: what is stored."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> M:
        """Return the model of these arrays: the inverse of ``arrays``."""
        ...


class Sampler(Protocol[Made]):
    """Makes images. ``n`` is how many a generation; row i does not depend on n, nor on which rows are asked for beside it."""

    @property
    def n(self) -> int:
        """Rows a generation."""
        ...

    def __call__(self, model: Made, rows: Rows, ctx: Context) -> Pool:
        """Return ``Pool.of(images, condition, ctx.generation)``, one row for each of the given row numbers."""
        ...


@runtime_checkable
class Metric(Protocol):
    """What is measured of a finished generation."""

    def __call__(self, evidence: Evidence) -> Sequence[Measurement]:
        """Return the measurements of this generation."""
        ...


def together(trainer: object) -> bool:
    """Return whether every process of a group is to call a trainer: it says so (``together``), or one that it wraps does."""
    inner = [getattr(trainer, one.name) for one in fields(trainer)] if is_dataclass(trainer) else []
    return bool(getattr(trainer, "together", False)) or any(together(one) for one in inner)
