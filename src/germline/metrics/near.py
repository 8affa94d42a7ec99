"""Distances to the nearest row of another set, or of the same: several metrics need them, and each is measured once."""

import numpy as np
from jaxtyping import Float, Float64

from germline.core import digest
from germline.core.context import Context
from germline.core.neighbours import nearest
from germline.core.pool import Pool
from germline.core.protocols import Extractor


def near(query: Pool, base: Pool | None, extractor: Extractor | None, ctx: Context) -> Float64[np.ndarray, " n"]:
    """Return each query row's Euclidean distance to the nearest base row; without a base, to its nearest other row. Cached by content.

    Without an extractor the distance is that of pixels, 0..255.
    """

    def make() -> dict[str, np.ndarray]:
        rows = features_of(query, extractor, ctx)
        others = rows if base is None else features_of(base, extractor, ctx)
        return {"radii": nearest(rows, others, exclude_self=base is None)[1][:, 0]}

    return ctx.once(extractor, make, of=digest.of_json(["nearest", _content(query), None if base is None else _content(base)]))["radii"]


def features_of(pool: Pool, extractor: Extractor | None, ctx: Context) -> Float[np.ndarray, "n d"]:
    """Return the extractor's features, or the pixels as they are."""
    if extractor is None:
        return np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)
    return ctx.features(extractor, pool)


def _content(pool: Pool) -> digest.Json:
    used = np.unique(pool.generation).tolist()
    return [digest.of_array(pool.origin), {str(number): pool.sources[number].digest for number in used}]
