"""Parquet files with an image column as shards: one a row group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from germline.data.listing import class_names, holds_images
from germline.pools.files import File, key_of
from germline.pools.shard import Row, Shard, uid_of

TEXTS = ("text", "caption", "TEXT", "prompt")
DAMAGED = (OSError, pa.ArrowException)
BATCH = 64  # rows of bytes in memory at once


def parquet_of(file: File) -> list[Shard]:
    """Return the shards of a Parquet file; none if it has no image column.

    Raises:
        OSError, pyarrow.ArrowException: it is damaged.
    """
    with file.open() as opened:
        found = pq.ParquetFile(opened)
        schema, about = found.schema_arrow, found.metadata
        image = next((field.name for field in schema if holds_images(field.type)), None)
        if image is None:
            return []
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        sizes = [(group.num_rows, sum(group.column(i).total_compressed_size for i in range(group.num_columns))) for group in groups]
    text = next((name for name in TEXTS if name in schema.names), None)
    classes = class_names(schema)
    wanted = [image, *(name for name in ("label", text, "uid") if name in schema.names)]
    shards, first = [], 0
    for number, (rows, size) in enumerate(sizes):
        key = key_of([file], number)
        read = partial(_rows, file, number, first, wanted, text, classes)
        shards.append(Shard(f"{file.name} row group {number}", key, read, rows, size, classes=classes))
        first += rows
    return shards


def _rows(file: File, group: int, first: int, wanted: list[str], text: str | None, classes: tuple[str, ...]) -> Iterator[Row]:
    number = first
    try:
        with file.open() as opened:
            for batch in pq.ParquetFile(opened).iter_batches(BATCH, row_groups=[group], columns=wanted):
                for record in batch.to_pylist():
                    yield _row(f"{file.name}#{number}", record, wanted[0], text, classes)
                    number += 1
    except DAMAGED as error:
        file.not_the_line(error)
        identity = f"{file.name}#{number}"
        yield Row(identity, uid_of(identity), skipped=f"row group {group} cannot be read from here on ({str(error).splitlines()[0]})")


def _row(identity: str, record: Mapping[str, object], image: str, text: str | None, classes: tuple[str, ...]) -> Row:
    value, said, label = record[image], record.get(text or ""), record.get("label")
    data = value.get("bytes") if isinstance(value, Mapping) else value
    reason = "" if isinstance(data, bytes) else "its image column is empty"
    content = data if isinstance(data, bytes) else b""
    told = label if isinstance(label, int | str) and not isinstance(label, bool) else None
    if isinstance(told, int) and 0 <= told < len(classes):
        told = classes[told]
    uid = uid_of(identity, record.get("uid"))
    return Row(identity, uid, lambda: content, None, said if isinstance(said, str) else "", told, None, len(content), reason)
