"""Samples beside the training image that is nearest to each: do the models copy?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from germline.core.generation import Generation
from germline.core.neighbours import nearest
from germline.core.pool import Pool
from germline.core.splits import Splits
from germline.report.arms import Arm, Group
from germline.report.grids import alike, label, tile_rows
from germline.report.origins import origin_name, pretrained
from germline.report.pictures import data_uri, mosaic, small

PAIRS, BLOCK = 10, 4_096
BYTES = 600_000  # of pixels in all galleries of a page
HALF_RANGE = 127.5  # grey levels in a unit of [-1, 1]


@dataclass(frozen=True)
class Pair:
    """An image above the training image nearest to it in pixels."""

    uri: str
    distance: float
    origin: str
    label: str


@dataclass(frozen=True)
class Strip:
    """Pairs of one kind of image."""

    title: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Gallery:
    """The strips of an arm: generation 0 and the last."""

    arm: Arm
    strips: tuple[Strip, ...]


def nearest_rows(query: Pool, base: Pool) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return for every image of ``query`` the nearest row of ``base`` (ties: the lowest) and the distance.

    The distance is Euclidean over pixels scaled to [-1, 1]. ``base`` is read a block at a time.
    """
    flat = query.images[:].reshape(len(query), -1).astype(np.float32)
    rows, best = np.zeros(len(query), np.int64), np.full(len(query), np.inf)
    for start in range(0, len(base), BLOCK):
        block = base.images[start : start + BLOCK]
        found, distance = nearest(flat, block.reshape(len(block), -1).astype(np.float32))
        closer = distance[:, 0] < best
        rows[closer], best[closer] = start + found[closer, 0], distance[closer, 0]
    return rows, best / HALF_RANGE


def pairs(query: Pool, base: Pool, classes: tuple[str, ...]) -> tuple[Pair, ...]:
    """Return every image of ``query`` above its nearest row of ``base``."""
    rows, distances = nearest_rows(query, base)
    found = base.take(rows)
    images = small(np.concatenate([query.images[:], found.images[:]]))
    above, below = images[: len(query)], images[len(query) :]
    return tuple(
        Pair(
            uri=data_uri(mosaic(np.stack([above[i], below[i]]), columns=1, gap=1 if above.shape[2] <= 16 else 2)),
            distance=float(distances[i]),
            origin=origin_name(int(found.generation[i])),
            label=label(query.condition[i], classes),
        )
        for i in range(len(query))
    )


def galleries(group: Group, share: float = 1.0) -> tuple[Strip, list[Gallery]]:
    """Return the strip of held-out real images beside the real training set, and a gallery an arm (of its lowest seed)."""
    data = group.data
    each = int(np.prod(small(data.real.images[:1]).shape[1:]))
    wanted = next((n for n in (PAIRS, PAIRS // 2) if len(group.arms) * 4 * n * each <= share * BYTES), 3)
    reference = group.arms[0].shown.generations[0].samples
    rows = tile_rows(reference, wanted)[:wanted]
    beside = alike(data.held_out, reference.condition[rows])
    held_out = data.held_out.take(beside[beside >= 0])

    def strip(generation: Generation, own: Splits) -> Strip:
        samples = generation.samples
        title = f"generation {generation.number}{', pretrained: not trained on these' if pretrained(generation) else ''}"
        return Strip(title, pairs(samples.take(rows[rows < len(samples)]), generation.training(own), own.classes))

    def gallery(arm: Arm) -> Gallery:
        done = [generation for generation in arm.shown.generations if generation.training_known]
        return Gallery(arm, tuple(strip(generation, arm.shown.data) for generation in (done if len(done) < 2 else (done[0], done[-1]))))

    return Strip("held-out real images", pairs(held_out, data.real, data.classes)), [gallery(arm) for arm in group.arms]
