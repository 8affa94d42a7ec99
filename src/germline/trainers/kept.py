"""The control that trains nothing: every generation has the model of the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Trainer

M = TypeVar("M")


@dataclass(frozen=True)
class Kept(Generic[M]):
    """Return the last generation's model as it is; ``trainer`` made generation 0's, and says how models are stored.

    Source: ours (a control for the Chain of Diffusion, arXiv 2407.17493).

    Raises:
        BadInput: there is no model to keep.
    """

    trainer: Trainer[M]
    images: ClassVar[int] = 0  # the budget of a generation

    def __call__(self, data: Pool, previous: M | None, ctx: Context) -> M:
        """Return ``previous``."""
        if previous is None:
            raise BadInput("Kept keeps the last generation's model, but generation 0 has none before it; use the inner trainer as founder.")
        return previous

    def arrays(self, model: M) -> Mapping[str, np.ndarray]:
        """Return the inner trainer's arrays."""
        return self.trainer.arrays(model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> M:
        """Return the inner trainer's model."""
        return self.trainer.restore(arrays)
