"""The four fixed, disjoint, class-balanced parts of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int, UInt8

from germline.core import digest
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool, Source
from germline.core.seeds import rng

NAMES = ("real", "reserve", "judge", "held_out")
EMBEDDED = {"real": 2_000, "reserve": 3_000, "judge": 5_000, "held_out": 2_000}


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set as the loop sees it; the four pools share one source, so a real row keeps its number everywhere.

    ``real`` is R, the loop's. ``reserve`` holds fresh rows. ``judge`` is for whatever is fitted to measure or to filter
    (classifier, probe, PCA). ``held_out`` is for evaluation only: nothing is ever fitted on it. ``given`` is no split and no data of
    theirs: images of the user's own, with a source of their own, that a recipe may train on.
    """

    name: str
    classes: tuple[str, ...]
    real: Pool
    reserve: Pool
    judge: Pool
    held_out: Pool
    given: Pool | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.real.images.shape[1:]

    @cached_property
    def digest(self) -> str:
        """The sha256 of every split's rows, conditions and images."""
        parts: dict[str, digest.Json] = {"classes": list(self.classes), "images": self.real.sources[-1].digest}
        for name in NAMES:
            pool: Pool = getattr(self, name)
            parts[name] = [digest.of_array(pool.origin), digest.of_array(pool.condition)]
        if self.given is not None:
            columns: dict[str, digest.Json] = {name: digest.of_array(column) for name, column in self.given.columns.items()}
            images: list[digest.Json] = [source.digest for source in self.given.sources.values()]
            parts["given"] = [digest.of_array(self.given.origin), digest.of_array(self.given.condition), columns, images]
        return digest.of_json(parts)


def split(
    name: str,
    images: UInt8[np.ndarray, "n h w c"],
    condition: Int[np.ndarray, " n"],
    classes: tuple[str, ...],
    sizes: Mapping[str, int] = EMBEDDED,
) -> Splits:
    """Return the splits of a labelled set: class-balanced, disjoint, drawn by a fixed seed, with ``sizes`` rows each.

    A size that the number of classes does not divide gives the first classes one row more. The kept rows are put in the
    order real, reserve, judge, held_out, so that features of one split are computed in few blocks.

    Raises:
        BadInput: a class has too few rows; the message names it and the sizes that would fit.
    """
    quota = {part: _quota(sizes[part], len(classes)) for part in NAMES}
    taken: dict[str, list[np.ndarray]] = {part: [] for part in NAMES}
    for label in range(len(classes)):
        rows = rng(0, REAL, "split", label).permutation(np.flatnonzero(condition == label))
        need = sum(quota[part][label] for part in NAMES)
        if len(rows) < need:
            raise BadInput(
                f"{name}: class {classes[label]!r} has {len(rows)} images, but the splits need {need} of it"
                f" ({', '.join(f'{part} {sizes[part]}' for part in NAMES)} over {len(classes)} classes). Give smaller split sizes."
            )
        ends = np.cumsum([quota[part][label] for part in NAMES])
        for part, chunk in zip(NAMES, np.split(rows[:need], ends[:-1]), strict=True):
            taken[part].append(chunk)
    order = {part: rng(0, REAL, f"split/{part}").permutation(np.concatenate(taken[part])) for part in NAMES}
    rows = np.concatenate([order[part] for part in NAMES])
    whole = Pool.of(Source(np.ascontiguousarray(images[rows])), condition[rows].astype(np.int64), columns={"dataset_row": rows})
    bounds = np.concatenate([[0], np.cumsum([sizes[part] for part in NAMES])])
    pools = {part: whole.take(np.arange(bounds[i], bounds[i + 1])) for i, part in enumerate(NAMES)}
    return Splits(name, classes, **pools)


def _quota(size: int, classes: int) -> list[int]:
    return [size // classes + (label < size % classes) for label in range(classes)]


def fractions(n: int) -> dict[str, int]:
    """Return split sizes for a set of ``n`` rows in the proportions of the embedded set."""
    total = sum(EMBEDDED.values())
    return {part: n * size // total for part, size in EMBEDDED.items()}
