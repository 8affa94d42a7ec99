"""What a part may know: everything that is finished, read-only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from germline.core import digest, seeds
from germline.core.cache import Arrays, Cache
from germline.core.errors import BadInput, GermlineError
from germline.core.generation import MODEL, Generation
from germline.core.pool import Pool, Rows, Source
from germline.core.progress import Progress, silent
from germline.core.protocols import Extractor
from germline.core.splits import Splits


@dataclass(frozen=True)
class Execution:
    """How a run computes: with equal versions and equal execution, equal bytes. Resolved once, recorded, reused on resume.

    ``precision`` is "bf16" or "fp32", already resolved. ``block`` is the number of rows sampled, or turned into features, at once.
    """

    precision: str = "fp32"
    threads: int = 1
    block: int = 250


@dataclass(frozen=True, eq=False)
class Context:
    """The view of generation ``generation`` on its chain.

    ``generations`` are the finished ones; ``scratch`` is a folder for checkpoints and partial rows, deleted when the record is
    written; ``progress`` opens a progress bar.
    """

    generation: int
    seed: int
    data: Splits
    generations: tuple[Generation, ...] = ()
    execution: Execution = field(default_factory=Execution)
    cache: Cache = field(default_factory=lambda: Cache(None))
    scratch: Path = Path("scratch")
    progress: Progress = silent

    def model(self, number: int) -> object:
        """Return M_number, restored from its arrays."""
        return self._finished(number).model

    def samples(self, number: int) -> Pool:
        """Return S_number."""
        return self._finished(number).samples

    def _finished(self, number: int) -> Generation:
        if not 0 <= number < len(self.generations):
            raise GermlineError(f"Generation {self.generation} asked for generation {number}, but {len(self.generations)} are finished.")
        return self.generations[number]

    def rng(self, stage: str, place: int = 0, step: int = 0) -> np.random.Generator:
        """Return the random generator of a place (row, batch) and step in a stage of this generation."""
        return seeds.rng(self.seed, self.generation, stage, place, step)

    def normal(self, stage: str, rows: Rows, shape: tuple[int, ...], step: int = 0) -> Float32[np.ndarray, "rows *shape"]:
        """Return standard normal noise, one stream a row; the noise of a row is the same whatever rows are beside it."""
        return seeds.normal(self.seed, self.generation, stage, rows, shape, step)

    def once(self, part: object, make: Callable[[], Arrays], of: str = "") -> Arrays:
        """Return the arrays that ``make`` makes for this part; made once per part, its needs, and ``of``."""
        return self.cache.once(digest.of_json([self._identity(part), of]), make)

    def unfinished(self, part: object, of: str = "") -> Path:
        """Return the folder for checkpoints of what ``once`` makes for this part and ``of``; whichever run comes next goes on from them."""
        return self.cache.unfinished(digest.of_json([self._identity(part), of])) or self.scratch / "unfinished"

    def features(self, extractor: Extractor, pool: Pool) -> Float32[np.ndarray, "n f"]:
        """Return the extractor's features of every row, cached.

        They are computed in fixed blocks of each row's source, never in batches of the pool: a row's features are the same in every pool.
        """
        identity = self._identity(extractor)
        out: np.ndarray | None = None
        with self.progress(f"features {type(extractor).__name__}", len(pool)) as advance:
            for generation in np.unique(pool.generation):
                here = np.flatnonzero(pool.generation == generation)
                source, rows = pool.sources[int(generation)], pool.origin[here, 1]
                for block in np.unique(rows // self.execution.block):
                    inside = rows // self.execution.block == block
                    features = self._block(extractor, identity, source, int(generation), int(block))
                    if out is None:
                        out = np.empty((len(pool), features.shape[1]), np.float32)
                    out[here[inside]] = features[rows[inside] - block * self.execution.block]
                    advance(int(inside.sum()))
        if out is None:
            raise BadInput(f"{type(extractor).__name__} was asked for features of an empty pool.")
        return out

    def _block(
        self, extractor: Extractor, identity: digest.Json, source: Source, generation: int, block: int
    ) -> Float32[np.ndarray, "b f"]:
        start, stop = block * self.execution.block, min((block + 1) * self.execution.block, len(source))
        key = digest.of_json([identity, source.digest, start, stop])

        def make() -> Arrays:
            origin = np.stack([np.full(stop - start, generation), np.arange(start, stop)], axis=1)
            part = Pool({generation: source}, origin, np.zeros(stop - start, np.int64), np.zeros(stop - start))
            return {"features": checked(extractor, extractor(part, self), stop - start)}

        cached = getattr(extractor, "cached", True)  # pixels are cheaper to make than to keep
        return (self.cache.on_disk(key, make) if cached else make())["features"]

    def _identity(self, part: object) -> digest.Json:
        """Return a part's configuration together with the content of whatever it says it needs."""
        needs: tuple[str, ...] = getattr(part, "needs", ())
        content: Mapping[str, Callable[[], str]] = {
            "judge": lambda: self.data.digest,
            "founder": lambda: self._finished(0).file_digest(MODEL),
        }
        return [digest.describe(part), {need: content[need]() for need in needs}]


def checked(part: object, features: Float[np.ndarray, "n f"], rows: int) -> Float32[np.ndarray, "n f"]:
    """Return features as float32 after checking one row each, and no NaN."""
    who = type(part).__name__
    if features.ndim != 2 or len(features) != rows:
        raise BadInput(f"{who} must return features with shape ({rows}, F), one row per row of the pool, but returned {features.shape}.")
    if not np.isfinite(features).all():
        bad = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise BadInput(f"{who} returned NaN or infinite features, first in row {bad}; look at that image, or use another extractor.")
    return np.ascontiguousarray(features, np.float32)
