"""How many values lie at the ends of their range."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.neighbours import slices
from germline.core.noise import bootstrap
from germline.core.pool import Pool

ELEMENTS = 1 << 24


@dataclass(frozen=True)
class Saturation:
    """``saturation``: the share of the values (pixels, channels apart) of S_g that are 0 or 255; its curve holds both shares.

    Real images may have many of them too, such as digits on black: compare with the reference. What a sampler drew out of range was
    clipped before it was stored, so the share out of range cannot be observed here, nor how far out it was; a share at the ends that
    grows over the generations is what is left of it. The interval is a bootstrap over images.

    Source: ours.
    """

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the share in the samples and, for reference, in held-out rows."""
        out = []
        for of, pool in (("samples", evidence.samples), ("reference", evidence.data.held_out)):
            each = at_the_ends(pool)
            rows, curve = each.sum(axis=1), tuple(map(float, each.mean(axis=0)))
            value, (low, high), d = float(rows.mean()), bootstrap(rows), int(np.prod(pool.images.shape[1:]))
            out.append(Measurement("saturation", value, of, len(pool), None, None, d, min(low, value), max(high, value), curve))
        return out


def at_the_ends(pool: Pool) -> Float64[np.ndarray, "n 2"]:
    """Return of each image the shares of its values that are 0, and that are 255."""
    size = int(np.prod(pool.images.shape[1:]))
    out = np.empty((len(pool), 2))
    for rows in slices(len(pool), max(1, ELEMENTS // size)):
        images = pool.images[rows].reshape(-1, size)
        out[rows, 0], out[rows, 1] = (images == 0).mean(axis=1), (images == 255).mean(axis=1)
    return out
