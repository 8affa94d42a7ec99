"""Precomputed embeddings as shards: a .npy of vectors and a Parquet file of metadata beside it, as clip-retrieval writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath

import pyarrow.parquet as pq

from germline.core.errors import BadInput
from germline.pools.arrays import are_vectors, header, opened
from germline.pools.files import File, key_of
from germline.pools.parquet import TEXTS
from germline.pools.shard import Row, Shard, printable, uid_of

VECTORS = "img_emb"
PATHS = ("image_path", "path", "file_name", "key", "url")


def pairs_of(files: Sequence[File]) -> tuple[list[tuple[File, File]], list[File]]:
    """Return the pairs of vectors and metadata among files, and the other files that belong to them.

    img_emb/img_emb_0.npy goes with metadata/metadata_0.parquet; elsewhere NAME.npy with NAME.parquet beside it.
    """
    by_name = {file.name: file for file in files}
    pairs, companions = [], []
    for file in files:
        name = PurePosixPath(file.name)
        if name.suffix != ".npy":
            continue
        number = re.fullmatch(rf"{VECTORS}_(\d+)", name.stem)
        if name.parent.name == VECTORS and number:
            partner = by_name.get(str(name.parent.parent / "metadata" / f"metadata_{number.group(1)}.parquet"))
        elif name.parent.name == "text_emb":
            companions.append(file)
            continue
        else:
            partner = by_name.get(str(name.with_suffix(".parquet")))
            partner = partner if partner and are_vectors(file) else None
        if partner:
            pairs.append((file, partner))
    return pairs, companions


def embeddings_of(vectors: File, metadata: File) -> list[Shard]:
    """Return the one shard of a pair.

    Raises:
        BadInput: the two differ in length, or the vectors are none.
        OSError, ValueError, pyarrow.ArrowException: one of them is damaged.
    """
    shape, kind = header(vectors)
    with metadata.open() as content:
        count = pq.ParquetFile(content).metadata.num_rows
    if len(shape) != 2 or kind.kind != "f" or shape[0] != count:
        raise BadInput(
            f"{vectors.name} must hold {count} rows of floats, as many as {metadata.name}, but holds {kind} {shape}; write both again."
        )
    key = key_of([vectors, metadata])
    rows = partial(_rows, vectors.name, metadata)
    return [Shard(vectors.name, key, rows, count, vectors.size + metadata.size, partial(opened, vectors))]


def _rows(name: str, metadata: File) -> Iterator[Row]:
    with metadata.open() as content:
        file = pq.ParquetFile(content)
        names = file.schema_arrow.names
        text, path = (next((column for column in known if column in names), None) for known in (TEXTS, PATHS))
        wanted = [column for column in (text, path, "uid", "label") if column in names]
        number = 0
        for batch in file.iter_batches(10_000, columns=wanted):
            columns = {column: batch[column].to_pylist() for column in wanted}
            for i in range(len(batch)):
                record = {column: values[i] for column, values in columns.items()}
                place = record.get(path or "")
                identity = f"{name}#{number}" + (f" {printable(place)}" if isinstance(place, str) else "")
                said, label = record.get(text or ""), record.get("label")
                told = label if isinstance(label, int | str) and not isinstance(label, bool) else None
                uid = uid_of(identity, record.get("uid"))
                yield Row(identity, uid, text=said if isinstance(said, str) else "", label=told)
                number += 1
