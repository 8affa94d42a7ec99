"""How much a model changed its mind while it made a row: hallucinations are made with more doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.generation import MODEL
from germline.core.pool import REAL, Pool, Rows
from germline.core.scores import Pair, Scores, pair_of

Made = TypeVar("Made", contravariant=True)
LEVELS = 2  # between equal pixels of images that were made again, and those on record: another machine may round otherwise


class Watched(Protocol[Made]):
    """A sampler that shows its predictions on the way."""

    def watched(self, model: Made, rows: Rows, ctx: Context, see: Callable[[np.ndarray, float, Tensor], None]) -> Pool:
        """Return the samples, and show ``see`` the row numbers, sigma and x0_hat of every evaluation."""
        ...


@dataclass(frozen=True)
class TrajectoryVariance(Generic[Made]):
    """Minus the variance of x0_hat over the last part of a row's own trajectory: 0 where the prediction never changes, else below.

    The mean over pixels in [-1, 1], or over a pipeline's latents, of the variance over the evaluations at noise levels up to
    ``sigma_max``. The trajectory is run again from the row's place in the seed, by the model and the sampler that made it; that the same
    image comes out is checked. A real row was not made and has no trajectory: it gets 0, so no threshold ever leaves a real row out.

    Source: Aithal et al., "Understanding Hallucinations in Diffusion Models through Mode Interpolation", arXiv 2406.09358: high
    variance of the predicted x0 in the final steps tells hallucinations. The part of the trajectory, as a noise level, and what real
    rows get are ours.

    Attributes:
        sampler: the run's own, such as Denoised, SamplePipeline, or Rounds of one.
        sigma_max: the largest noise level that counts; over the whole trajectory every row has much variance, and the score says nothing.

    Raises:
        BadInput: the sampler shows no predictions, or fewer than two at these levels, or is not the one that made the rows; or a row is
            of unknown origin.
    """

    sampler: Watched[Made]
    sigma_max: float = 3.0
    name: ClassVar[str] = "trajectory_variance"

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one number a row, at most 0."""
        if not callable(getattr(self.sampler, "watched", None)):
            raise BadInput(
                f"TrajectoryVariance: a {type(self.sampler).__name__} does not show its predictions; Denoised and SamplePipeline do."
            )
        out = np.zeros(len(pool))
        for generation in np.unique(pool.generation).tolist():
            here = np.flatnonzero(pool.generation == generation)
            if generation == REAL:
                continue
            if generation < 0:
                raise BadInput(f"TrajectoryVariance: row {here[0]} was not made by this chain, so its trajectory cannot be run again.")
            out[here] = self._of(pool.take(here), generation, ctx)
        return out

    def _of(self, pool: Pool, generation: int, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return the numbers of rows of one generation."""
        model = ctx.model(generation)
        made_by = [digest.describe(self), ctx.generations[generation].file_digest(MODEL), ctx.seed, generation]
        known = Scores(ctx.cache.file(digest.of_json(made_by), ".scores.jsonl"))
        pairs = [pair_of(image, f"row {row}") for image, row in zip(pool.images[:], pool.origin[:, 1].tolist(), strict=True)]
        scores = known.read()
        places = {row: pair for pair, row in zip(pairs, pool.origin[:, 1].tolist(), strict=True) if pair not in scores}
        rows, size = np.array(sorted(places), np.int64), ctx.execution.block
        with ctx.progress(f"score {self.name}", len(rows)) as advance:
            for start in range(0, len(rows), size):
                block = rows[start : start + size]
                source = pool.sources[generation].images[block]
                found = -self._variance(model, block, source, replace(ctx, generation=generation))  # type: ignore[arg-type]
                new: dict[Pair, float] = {places[row]: value for row, value in zip(block.tolist(), found.tolist(), strict=True)}
                known.append(new)
                scores.update(new)
                advance(len(block))
        return np.array([scores[pair] for pair in pairs])

    def _variance(self, model: Made, rows: np.ndarray, images: np.ndarray, ctx: Context) -> Float64[np.ndarray, " n"]:
        count, mean, squares = torch.zeros(len(rows), 1), torch.zeros(()), torch.zeros(())

        def see(numbers: np.ndarray, sigma: float, x0_hat: Tensor) -> None:
            nonlocal mean, squares  # one pass, after Welford: all predictions at once would not fit
            x = x0_hat.double().cpu().flatten(1)
            if not mean.ndim:
                mean, squares = torch.zeros(2, len(rows), x.shape[1], dtype=torch.float64)
            at = torch.from_numpy(np.searchsorted(rows, numbers))
            if sigma > self.sigma_max:  # also where a blank image is drawn again: the attempt that was kept counts
                count[at], mean[at], squares[at] = 0, 0, 0
                return
            count[at] += 1
            away = x - mean[at]
            mean[at] += away / count[at]
            squares[at] += away * (x - mean[at])

        again = self.sampler.watched(model, rows, ctx, see).images[:]
        if (fewest := int(count.min())) < 2:
            raise BadInput(
                f"TrajectoryVariance: {fewest} predictions lie at noise levels up to {self.sigma_max:g}, and it needs 2; raise sigma_max."
            )
        far = np.abs(again.astype(np.int16) - images) > LEVELS
        if far.mean() > 0.01:
            bad = int(rows[int(far.reshape(len(rows), -1).mean(axis=1).argmax())])
            raise BadInput(
                f"TrajectoryVariance: made again, row {bad} of generation {ctx.generation} is another image;"
                " give the very sampler that made it."
            )
        out: np.ndarray = (squares / count).mean(1).numpy()
        return out
