"""Diversity: k clusters of prompts by their embeddings, and of each the prompt closest to its centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from germline.core.cache import Cache
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.progress import Progress, silent
from germline.core.seeds import rng
from germline.prompts.duplicates import ROWS
from germline.prompts.encoders import TextEncoder, embedded
from germline.prompts.write import Outcome

AFFORDABLE = 3e12  # multiply-adds up to which "auto" takes full k-means: a minute or two of one core
LLOYD_STEPS, EPOCHS, BATCH = 30, 5, 4096
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
    if not 1 <= k <= len(set(texts)):
        raise BadInput(f"Asked for {k} of {len(set(texts))} distinct prompts; give a --k from 1 to that, or clean less.")
    found = clusters(embedded(encoder, texts, cache, progress), texts, k, seed, method, progress)
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


def clusters(
    features: Float32[np.ndarray, "n d"],
    texts: Sequence[str],
    k: int,
    seed: int,
    method: Literal["auto", "lloyd", "mini-batch"] = "auto",
    progress: Progress = silent,
) -> Clusters:
    """Return k clusters of rows of unit length and the closest row of each.

    A row belongs to its nearest centre and can be chosen for that one only, so the chosen rows are distinct. Of equally close rows the
    one with the lowest hash of its text is taken, whatever the order of the file. A centre without rows takes the row farthest from
    its own centre that is not chosen yet.
    """
    method = _affordable(len(features), k, features.shape[1]) if method == "auto" else method
    centres = _centres(features, k, int(rng(seed, 0, "prompts/diversify").integers(2**31)), method, progress)
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
    return {"method": method, "multiply_adds": (steps + 1) * n * k * width, "bytes": 4 * (2 * n * width + 3 * k * width + 2 * ROWS * k)}


def _affordable(n: int, k: int, width: int) -> Literal["lloyd", "mini-batch"]:
    return "lloyd" if n * k * width * LLOYD_STEPS <= AFFORDABLE else "mini-batch"


def _centres(features: Float32[np.ndarray, "n d"], k: int, state: int, method: str, progress: Progress) -> Float32[np.ndarray, "k d"]:
    """Return the centres. Mini-batches start from random rows: k-means++ would cost more than the clustering at k = 40,000."""
    from sklearn.cluster import KMeans, MiniBatchKMeans  # slow to import

    if method == "lloyd":
        with progress(f"k-means, k = {k:,}", 1) as advance:
            full = KMeans(k, n_init=1, max_iter=LLOYD_STEPS, random_state=state, algorithm="lloyd").fit(features)
            advance(1)
        centres: np.ndarray = full.cluster_centers_
        return centres
    generator = np.random.default_rng(state)
    start_from = features[generator.permutation(len(features))[:k]]
    model = MiniBatchKMeans(k, init=start_from, n_init=1, random_state=state, reassignment_ratio=0, compute_labels=False)
    with progress(f"k-means in mini-batches, k = {k:,}", EPOCHS * len(features)) as advance:
        for epoch in range(EPOCHS):
            order = generator.permutation(len(features))
            first = 0 if epoch else max(BATCH, k)  # scikit-learn wants as many rows as centres to begin with
            starts = ([slice(0, first)] if first else []) + [slice(at, at + BATCH) for at in range(first, len(order), BATCH)]
            for rows in starts:
                model.partial_fit(features[order[rows]])
                advance(len(order[rows]))
    found: np.ndarray = model.cluster_centers_
    return found


def _nearest(
    features: Float32[np.ndarray, "n d"], centres: Float32[np.ndarray, "k d"], progress: Progress
) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """Return the nearest centre of every row and the distance to it; 1,024 rows at a time."""
    half = np.einsum("ij,ij->i", centres, centres) / 2
    cluster, distance = np.empty(len(features), np.int64), np.empty(len(features), np.float32)
    with progress("nearest centres", len(features)) as advance:
        for start in range(0, len(features), ROWS):
            rows = features[start : start + ROWS]
            best = (half - rows @ centres.T).argmin(axis=1)
            cluster[start : start + ROWS] = best
            distance[start : start + ROWS] = np.linalg.norm(rows - centres[best], axis=1)
            advance(len(rows))
    return cluster, distance


def _ranks(hashes: Sequence[bytes]) -> Int64[np.ndarray, " n"]:
    """Return the rank of every hash among all."""
    ranks = np.empty(len(hashes), np.int64)
    ranks[sorted(range(len(hashes)), key=hashes.__getitem__)] = np.arange(len(hashes))
    return ranks
