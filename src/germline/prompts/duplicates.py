"""Prompts that are there already: letter for letter after case-folding, or nearly, by the cosine of their embeddings."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

ROWS, TILE = 1024, 8192  # rows that are compared at once, and with how many


def key(text: str) -> str:
    """Return what two prompts share when they are the same but for case and white space."""
    return " ".join(text.casefold().split())


def first_like(texts: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Return for every row the first row with the same key; a row is its own if it is new."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(key(text), number) for number, text in enumerate(texts)], np.int64)


def nearest_before(features: Float32[np.ndarray, "n d"], least: float) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """Return for every row the nearest earlier row that was kept and that it repeats, -1 if none, and their cosine.

    A row repeats another if their cosine is at least ``least``. The first one wins: a row is compared with kept rows only, so a chain of
    small steps is not thrown away whole. Rows have unit length. n^2 / 2 products at worst; a tile of 1,024 x 8,192 is held at a time.
    """
    kept = np.empty_like(features)
    numbers, count = np.empty(len(features), np.int64), 0
    like, cosine = np.full(len(features), -1, np.int64), np.full(len(features), np.nan, np.float32)
    for start in range(0, len(features), ROWS):
        block = features[start : start + ROWS]
        best, value = nearest_of(block, kept[:count])
        inside = block @ block.T
        fresh: list[int] = []
        for i in range(len(block)):
            near = inside[i, fresh]
            if len(near) and near.max() > value[i]:
                best_row, best_value = start + fresh[int(near.argmax())], near.max()
            else:
                best_row, best_value = numbers[best[i]] if count else -1, value[i]
            if best_value >= least:
                like[start + i], cosine[start + i] = best_row, best_value
            else:
                fresh.append(i)
        kept[count : count + len(fresh)] = block[fresh]
        numbers[count : count + len(fresh)] = np.array(fresh, np.int64) + start
        count += len(fresh)
    return like, cosine


def nearest_of(
    features: Float32[np.ndarray, "n d"], base: Float32[np.ndarray, "m d"]
) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """Return for every row the base row of the largest cosine, the lowest of equal ones, and that cosine; -1 and -2 without a base."""
    best, value = np.full(len(features), -1, np.int64), np.full(len(features), -2, np.float32)
    for start in range(0, len(features), ROWS):
        rows = slice(start, start + ROWS)
        for at in range(0, len(base), TILE):
            tile = features[rows] @ base[at : at + TILE].T
            there = tile.argmax(axis=1)
            here = np.take_along_axis(tile, there[:, None], 1)[:, 0]
            better = here > value[rows]
            value[rows] = np.where(better, here, value[rows])
            best[rows] = np.where(better, there + at, best[rows])
    return best, value
