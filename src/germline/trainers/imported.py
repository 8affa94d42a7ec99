"""A pretrained pipeline as generation 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from germline.core.context import Context
from germline.core.pool import Pool
from germline.pipelines.opened import open_pipeline, place
from germline.pipelines.tuned import Tuned, restored, stored


@dataclass(frozen=True)
class Import:
    """Return the pretrained pipeline as it is: a founder, so that generation 0's samples are the base's own. Source: ours.

    A folder counts by its content, a name on the hub by itself and the ``revision``.

    Raises:
        MissingExtra: diffusers or transformers is not installed.
        BadInput: there is no such pipeline.
    """

    base: Path | str
    revision: str | None = None
    images: ClassVar[int] = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", place(self.base))

    def __call__(self, data: Pool, previous: Tuned | None, ctx: Context) -> Tuned:
        """Return the base, nothing of it changed; the data are not looked at."""
        return Tuned(open_pipeline(self.base, self.revision))

    def arrays(self, model: Tuned) -> Mapping[str, np.ndarray]:
        """Return the base's sha256 alone."""
        return stored(model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Tuned:
        """Return the base, if it is still the one of that sha256."""
        return restored(open_pipeline(self.base, self.revision), arrays, None)
