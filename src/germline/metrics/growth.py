"""Growth of what tells classes apart: the displacement of the samples' class means, in units of the real images'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from germline.core.displacement import Displacement, resampled
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.pool import REAL, Pool
from germline.core.seeds import rng

DRAWS = 400


@dataclass(frozen=True)
class Growth:
    """Ghat = sum_c <mbar_c - mbar, dbar_c - dbar> / sum_c |dbar_c - dbar|^2 of pixels: 1 keeps, less blurs, more exaggerates.

    mbar_c and dbar_c are class means of S_g and of R. Of generation 0 it is the growth of one generation (at guidance scale 1 the share h
    that training absorbs); of generation g what g + 1 generations made of the displacement. The interval is over rows, drawn again within
    their class; the reference is held-out real images. Where every row has a prompt of its own there are no classes to measure.

    Source: ours.

    Raises:
        BadInput: fewer than two classes, or prompts, that both have.
    """

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the growth of the samples, and of held-out rows for reference."""
        real = evidence.data.real
        return [
            measured(pool, real, of) for of, pool in (("samples", evidence.samples), ("reference", evidence.data.held_out)) if len(pool) > 1
        ]


def measured(pool: Pool, real: Pool, of: str) -> Measurement:
    """Return the growth of a pool against the real rows, with its interval."""
    labels = pool.condition
    shares = Displacement.of(flat(real), real.condition, labels).shares(flat(pool), labels)
    width = int(np.prod(real.images[:1].shape[1:]))
    draws = shares[resampled(labels, DRAWS, rng(0, REAL, "metric/growth"))].sum(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return Measurement("growth", float(shares.sum()), of, len(pool), "pixels", d=width, low=float(low), high=float(high))


def flat(pool: Pool) -> np.ndarray:
    """Return images as rows of values from -1 to 1."""
    return pool.images[:].reshape(len(pool), -1).astype(np.float64) / 127.5 - 1
