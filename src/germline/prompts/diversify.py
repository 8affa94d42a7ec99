"""Diversity: k clusters of prompts by their embeddings, and of each the prompt closest to its centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from germline.core import digest
from germline.core.cache import Arrays, Cache
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.progress import Progress, silent
from germline.core.seeds import rng
from germline.prompts.duplicates import ROWS
from germline.prompts.encoders import TextEncoder
from germline.prompts.vectors import embedded
from germline.prompts.write import Outcome

AFFORDABLE = 3e12  # multiply-adds up to which "auto" takes full k-means: a minute or two of one core
LLOYD_STEPS, EPOCHS, BATCH = 30, 5, 4096
VERSION = 2  # of the algorithm: what is kept of another one is not taken
MADE = ("cluster", "cluster_size", "distance", "reason")


@dataclass(frozen=True, eq=False)
class Clusters:
    """Centres and what belongs to them: the cluster of each row, its distance to its centre, the chosen row of each cluster."""

    cluster: Int64[np.ndarray, " n"]
    distance: Float32[np.ndarray, " n"]
    chosen: Int64[np.ndarray, " k"]
    method: str
    reseeded: int


def diversify(
    prompts: pa.Table,
    k: int,
    encoder: TextEncoder,
    seed: int = 0,
    method: Literal["auto", "lloyd", "mini-batch"] = "auto",
    cache: Cache | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Return k distinct prompts, of each cluster the one closest to the centre, with ``cluster``, ``cluster_size`` and ``distance``.

    The rest is rejected as ``farther than the closest``, with the same columns, so that another choice within the clusters needs no new
    clustering. Kept rows are in the order of the file.

    Source: arXiv 2502.09963 (k-means on prompt embeddings, the prompt closest to each centre); embedding, k and algorithm are not stated
    there: MiniLM, L2-normalised, and mini-batches where full k-means costs too much are ours.

    Raises:
        BadInput: k exceeds the number of distinct prompts, or is below 1.
    """
    texts = prompts["prompt"].to_pylist()
    enough(texts, k)
    found = clusters(embedded(encoder, texts, cache, progress), texts, k, seed, method, progress, cache)
    sizes = np.bincount(found.cluster, minlength=k)
    kept = np.zeros(len(texts), bool)
    kept[found.chosen] = True
    table = prompts.drop_columns([name for name in MADE if name in prompts.column_names])
    table = table.append_column("cluster", pa.array(found.cluster)).append_column("cluster_size", pa.array(sizes[found.cluster]))
    table = table.append_column("distance", pa.array(found.distance))
    rejected = table.filter(pa.array(~kept))
    rejected = rejected.append_column("reason", pa.array(["farther than the closest"] * len(rejected), pa.string()))
    about: dict[str, Json] = {"stage": "diversify", "k": k, "seed": seed, "encoder": encoder.name, "method": found.method}
    return Outcome(table.filter(pa.array(kept)), rejected, {**about, "reseeded": found.reseeded})


def enough(texts: Sequence[str], k: int) -> None:
    """Raise unless k distinct texts can be chosen: before the work, not after it.

    Raises:
        BadInput: k exceeds the number of distinct texts, or is below 1.
    """
    if not 1 <= k <= len(set(texts)):
        raise BadInput(f"Asked for {k} of {len(set(texts))} distinct prompts; give a --k from 1 to that, or clean less.")


def clusters(
    features: Float32[np.ndarray, "n d"],
    texts: Sequence[str],
    k: int,
    seed: int,
    method: Literal["auto", "lloyd", "mini-batch"] = "auto",
    progress: Progress = silent,
    cache: Cache | None = None,
) -> Clusters:
    """Return k clusters of rows of unit length and the closest row of each.

    Centres are kept in ``cache``, and those of a finished pass of mini-batches until the last one is done.

    A row belongs to its nearest centre and can be chosen for that one only, so the chosen rows are distinct. Of equally close rows the
    one with the lowest hash of its text is taken, whatever the order of the file. A centre without rows takes the row farthest from
    its own centre that is not chosen yet.
    """
    method = _affordable(len(features), k, features.shape[1]) if method == "auto" else method
    centres = _centres(features, k, seed, method, progress, cache or Cache(None))
    cluster, distance = _nearest(features, centres, progress)
    hashes = [blake2b(text.encode(), digest_size=8).digest() for text in texts]
    order = np.lexsort((_ranks(hashes), distance, cluster))
    filled, first = np.unique(cluster[order], return_index=True)
    chosen = order[first]
    empty = np.setdiff1d(np.arange(k), filled)
    if len(empty):
        spare = np.setdiff1d(np.arange(len(features)), chosen)
        spare = spare[np.lexsort((_ranks([hashes[i] for i in spare]), -distance[spare]))]
        seen = {texts[i] for i in chosen}
        more: list[int] = []
        for row in spare:
            if len(more) == len(empty):
                break
            if texts[row] not in seen:
                seen.add(texts[row])
                more.append(int(row))
        chosen = np.concatenate([chosen, np.array(more, np.int64)])
        cluster[more], distance[more] = empty[: len(more)], 0
    return Clusters(cluster, distance, np.sort(chosen), method, len(empty))


def cost_of(n: int, k: int, method: str, width: int = 384) -> dict[str, Json]:
    """Return method, multiply-adds and bytes that clustering takes, besides the embedding of n texts."""
    method = _affordable(n, k, width) if method == "auto" else method
    steps = LLOYD_STEPS if method == "lloyd" else EPOCHS
    return {"method": method, "multiply_adds": (steps + 1) * n * k * width, "bytes": 4 * (2 * n * width + 3 * k * width + ROWS * k)}


def _affordable(n: int, k: int, width: int) -> Literal["lloyd", "mini-batch"]:
    return "lloyd" if n * k * width * LLOYD_STEPS <= AFFORDABLE else "mini-batch"


def _centres(
    features: Float32[np.ndarray, "n d"], k: int, seed: int, method: str, progress: Progress, cache: Cache
) -> Float32[np.ndarray, "k d"]:
    key = digest.of_json(["prompts/diversify", VERSION, digest.of_array(features), k, seed, method])
    unfinished = Cache(cache.unfinished(key))
    make = partial(_lloyd, features, k, seed, progress) if method == "lloyd" else partial(_passes, features, k, seed, progress, unfinished)
    return cache.once(key, make)["centres"]


def _lloyd(features: Float32[np.ndarray, "n d"], k: int, seed: int, progress: Progress) -> Arrays:
    from sklearn.cluster import KMeans  # slow to import

    state = int(rng(seed, 0, "prompts/diversify").integers(2**31))
    with progress(f"k-means, k = {k:,}", 1) as advance:
        full = KMeans(k, n_init=1, max_iter=LLOYD_STEPS, random_state=state, algorithm="lloyd").fit(features)
        advance(1)
    return {"centres": full.cluster_centers_}


def _passes(features: Float32[np.ndarray, "n d"], k: int, seed: int, progress: Progress, unfinished: Cache) -> Arrays:
    """Return the centres after five passes; a killed run goes on after the last finished one.

    They start from random rows: k-means++ would cost more than the clustering at k = 40,000.
    """
    orders = [rng(seed, 0, "prompts/diversify", place).permutation(len(features)) for place in range(1 + EPOCHS)]
    state: Arrays = {"centres": features[orders[0][:k]], "rows": np.zeros(k, np.int64)}
    for number, order in enumerate(orders[1:], 1):
        what = f"k-means, k = {k:,}, pass {number} of {EPOCHS}"
        state = unfinished.on_disk(f"pass-{number}", partial(one_pass, features, order, state, progress, what))
    return {"centres": state["centres"]}


def one_pass(
    features: Float32[np.ndarray, "n d"], order: Int64[np.ndarray, " n"], state: Arrays, progress: Progress = silent, what: str = "k-means"
) -> Arrays:
    """Return ``centres`` (k, d) and ``rows`` (k,) after one pass of mini-batches: a centre is the mean of all rows that ever were its own.

    Source: Sculley, "Web-scale k-means clustering", WWW 2010, with a batch's rows added at once.
    """
    centres, rows = state["centres"].copy(), state["rows"].copy()
    half = np.einsum("ij,ij->i", centres, centres) / 2
    with progress(what, len(order)) as advance:
        for start in range(0, len(order), BATCH):
            batch = features[order[start : start + BATCH]]
            nearest = np.concatenate([_closest(batch[at : at + ROWS], centres, half) for at in range(0, len(batch), ROWS)])
            own, place, count = np.unique(nearest, return_inverse=True, return_counts=True)
            total = centres[own].astype(np.float64) * rows[own, None]
            np.add.at(total, place, batch)
            rows[own] += count
            centres[own] = total / rows[own, None]
            half[own] = np.einsum("ij,ij->i", centres[own], centres[own]) / 2
            advance(len(batch))
    return {"centres": centres, "rows": rows}


def _nearest(
    features: Float32[np.ndarray, "n d"], centres: Float32[np.ndarray, "k d"], progress: Progress
) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """Return the nearest centre of every row and the distance to it; 1,024 rows at a time."""
    half = np.einsum("ij,ij->i", centres, centres) / 2
    cluster, distance = np.empty(len(features), np.int64), np.empty(len(features), np.float32)
    with progress("nearest centres", len(features)) as advance:
        for start in range(0, len(features), ROWS):
            rows = features[start : start + ROWS]
            best = _closest(rows, centres, half)
            cluster[start : start + ROWS] = best
            distance[start : start + ROWS] = np.linalg.norm(rows - centres[best], axis=1)
            advance(len(rows))
    return cluster, distance


def _closest(
    rows: Float32[np.ndarray, "n d"], centres: Float32[np.ndarray, "k d"], half: Float32[np.ndarray, " k"]
) -> Int64[np.ndarray, " n"]:
    """Return the nearest centre of every row; ``half`` is half the squared length of each centre."""
    products = rows @ centres.T
    products -= half  # in place: at k = 40,000 it is 160 MB
    best: np.ndarray = products.argmax(axis=1)
    return best


def _ranks(hashes: Sequence[bytes]) -> Int64[np.ndarray, " n"]:
    """Return the rank of every hash among all."""
    ranks = np.empty(len(hashes), np.int64)
    ranks[sorted(range(len(hashes)), key=hashes.__getitem__)] = np.arange(len(hashes))
    return ranks
