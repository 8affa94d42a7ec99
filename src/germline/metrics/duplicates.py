"""Samples that are copies: of each other, or of what the model was trained on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.neighbours import first_copies
from germline.core.noise import share
from germline.core.pool import Pool
from germline.core.protocols import Extractor
from germline.metrics.near import features_of, near


@dataclass(frozen=True)
class Duplicates:
    """Shares of samples that are copies, with Wilson intervals.

    ``duplicates`` equal an earlier sample, byte for byte; ``training_copies`` equal a row of T_g; ``near_duplicates`` are nearer to a row
    of T_g than the threshold: the ``quantile`` of the distances of held-out rows to their nearest row of R, fixed before a sample is
    seen. So the null is: of fresh real images a share of ``quantile`` is as near to R, and a model trained on R (generation 0) that
    draws fresh images has that share. Of later generations, whose T_g is not R, the reference tells: the share of held-out rows that
    are as near to T_g. Without an extractor distances are those of pixels.

    Source: ours; a threshold on the distance to the nearest training image, arXiv 2301.13188.
    """

    extractor: Extractor | None = None
    quantile: float = 0.01

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the three shares of the samples, and what real data gives.

        Raises:
            BadInput: ``quantile`` is not between 0 and 1.
        """
        if not 0 < self.quantile < 1:
            raise BadInput(f"Duplicates(quantile={self.quantile}) must be between 0 and 1.")
        data, who = evidence.data, name_of(self.extractor) if self.extractor else "pixels"
        limit = np.quantile(near(data.held_out, data.real, self.extractor, evidence.ctx), self.quantile)
        out, pixels = [], int(np.prod(data.image_shape))
        d = features_of(data.held_out.take([0]), self.extractor, evidence.ctx).shape[1]
        for of, pool in (("samples", evidence.samples), ("reference", data.held_out)):
            for name, hits, extractor, k in (
                ("duplicates", first_copies(pool.images) < np.arange(len(pool)), None, None),
                ("training_copies", copied(pool, evidence.training), None, None),
                ("near_duplicates", near(pool, evidence.training, self.extractor, evidence.ctx) < limit, who, 1),
            ):
                value, low, high = share(hits)
                out.append(Measurement(name, value, of, len(pool), extractor, k, d if extractor else pixels, low, high, better="low"))
        return out


def copied(pool: Pool, known: Pool) -> Bool[np.ndarray, " n"]:
    """Return which images are among the known ones, byte for byte."""
    first: np.ndarray = first_copies(Pool.concat([known, pool]).images)[len(known) :]
    return first < len(known)
