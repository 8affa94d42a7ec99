"""Scores that are computed once: looked up by image, condition and scorer, and computed in batches of one size where they are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
from jaxtyping import Float, Float64, UInt8

from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.scores import Pair, Scores, pair_of
from germline.diffusion.precision import threads

Score = Callable[[UInt8[np.ndarray, "b h w c"], list[str]], Float[np.ndarray, " b"]]
SHARE = 64  # rows between two writes: what a kill may lose


def kept(
    scorer: object,
    pool: Pool,
    conditions: Sequence[str],
    ctx: Context,
    opened: Callable[[], AbstractContextManager[Score]],
    batch: int,
    of: str = "",
) -> Float64[np.ndarray, " n"]:
    """Return one score a row. Equal image and condition, equal score; a pair that was scored before is not scored again.

    Args:
        scorer: whose configuration the scores belong to, with ``of``: what else they depend on.
        pool: the rows.
        conditions: each row's, in words; all equal for a scorer that does not read them.
        ctx: holds the cache and the progress bar.
        opened: opens what scores a batch; it is not opened when nothing is to be scored.
        batch: rows at once. There are always that many, the last one repeated, so that a row's score does not depend on those beside it.
        of: see ``scorer``.

    Raises:
        BadInput: what scores a batch returned another number of scores, or one that is no number.
    """
    known = Scores(ctx.cache.file(digest.of_json([digest.describe(scorer), of]), ".scores.jsonl"))
    pairs = [pair_of(image, condition) for image, condition in zip(_each(pool), conditions, strict=True)]
    scores = known.read()
    new = {pair: row for row, pair in reversed(list(enumerate(pairs))) if pair not in scores}
    if new:
        rows = np.sort(np.fromiter(new.values(), np.int64))
        share = max(batch, SHARE - SHARE % batch)
        with (
            threads(ctx.execution.threads),
            opened() as score,
            ctx.progress(f"score {getattr(scorer, 'name', type(scorer).__name__)}", len(rows)) as advance,
        ):
            for start in range(0, len(rows), share):
                part = rows[start : start + share]
                made: dict[Pair, float] = {}
                for some in np.split(part, range(batch, len(part), batch)):
                    made.update(zip((pairs[row] for row in some), _batch(scorer, score, pool, conditions, some, batch), strict=True))
                known.append(made)
                scores.update(made)
                advance(len(part))
    return np.array([scores[pair] for pair in pairs], np.float64)


def _batch(scorer: object, score: Score, pool: Pool, conditions: Sequence[str], rows: np.ndarray, batch: int) -> list[float]:
    full = np.concatenate([rows, np.repeat(rows[-1:], batch - len(rows))])
    found = np.asarray(score(pool.images[full], [conditions[row] for row in full]))
    if found.shape != full.shape:
        raise BadInput(f"{type(scorer).__name__} must return {len(full)} scores, but returned {found.shape}.")
    values = [float(value) for value in found[: len(rows)]]
    if bad := [row for row, value in zip(rows.tolist(), values, strict=True) if not np.isfinite(value)]:
        raise BadInput(f"{type(scorer).__name__} returned NaN or infinity in row {bad[0]}; scores must be numbers.")
    return values


def _each(pool: Pool) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    for block in pool.images.blocks(256):
        yield from block
