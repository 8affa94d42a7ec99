"""SIMS: a model, and a copy of it that was trained on synthetic data, to be steered away from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Trainer
from germline.diffusion.model import Model, Pair

M = TypeVar("M", bound=Model)
GOOD, BAD = "good.", "bad."


@dataclass(frozen=True)
class SIMS(Generic[M]):
    """Return the pair (good, good fine-tuned by ``trainer`` on synthetic rows), sampled with (1 + w) s_good - w s_bad.

    **w = 0 is the good model alone**; w here is the paper's omega, our guidance scale minus 1. Without ``base``, the good model stays
    generation 0's for ever and the copy is trained on T_g, which should be its own samples (``Replace``): in generation 1 that is
    the paper's self-improvement. With ``base``, the good model is first trained on T_g from the last good one, and the copy goes on
    from it on S_{g-1}: the last pair's samples stand for the new good model's own, which a trainer cannot draw (ours).

    Sampling costs twice the evaluations of the good model.

    Source: Alemohammad et al., "Self-Improving Diffusion Models with Synthetic Data", arXiv 2408.16333.

    Raises:
        BadInput: the copy does not start from the good model, or there is no model before.
    """

    trainer: Trainer[M]
    w: float = 1.0
    base: Trainer[M] | None = None

    def __post_init__(self) -> None:
        start = getattr(self.trainer, "start", "sequential")
        if start != "sequential":
            raise BadInput(f"SIMS fine-tunes a copy of the good model, but its trainer starts from {start!r}; use 'sequential'.")

    @property
    def images(self) -> int | None:
        """The budget of both trainings together, in images."""
        budgets = [getattr(part, "images", None) for part in (self.trainer, self.base) if part is not None]
        known = [budget for budget in budgets if isinstance(budget, int)]
        return sum(known) if len(known) == len(budgets) else None

    def __call__(self, data: Pool, previous: M | Pair[M] | None, ctx: Context) -> Pair[M]:
        """Return the pair."""
        good = previous.good if isinstance(previous, Pair) else previous
        if good is None:
            raise BadInput("SIMS needs a model to copy, but generation 0 has none before it; use the inner trainer as founder.")
        if self.base is None:
            return self._pair(good, self.trainer(data, good, ctx))
        # Two trainings, each with its own checkpoint.
        good = self.base(data, good, replace(ctx, scratch=ctx.scratch / "good"))
        return self._pair(good, self.trainer(ctx.samples(ctx.generation - 1), good, replace(ctx, scratch=ctx.scratch / "bad")))

    def arrays(self, model: Pair[M]) -> dict[str, np.ndarray]:
        """Return both models' arrays: ``good.NAME``, ``bad.NAME``."""
        parts = {GOOD: model.good, BAD: model.bad}
        return {f"{part}{name}": a for part, one in parts.items() for name, a in self.trainer.arrays(one).items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Pair[M]:
        """Return the pair of these arrays, with this w."""
        good, bad = (
            self.trainer.restore({name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)})
            for part in (GOOD, BAD)
        )
        return self._pair(good, bad)

    def _pair(self, good: M, bad: M) -> Pair[M]:
        return Pair(good, bad, 1 + self.w)
