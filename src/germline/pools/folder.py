"""Loose picture files as shards of about a thousand, cut where names say so: a new file changes one shard, not all after it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from germline.core import digest
from germline.data.listing import CAPTION, ENDINGS, records, said
from germline.data.pictures import Unreadable
from germline.pools.files import File, key_of
from germline.pools.shard import Row, Shard, uid_of

CUT, MOST = 1000, 4000  # rows of a shard: on average, and at most
METADATA = ("metadata.jsonl", "metadata.csv")
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")

Told = Mapping[str, tuple[str, int | str | None]]


def pictures_of(files: Sequence[File]) -> tuple[list[Shard], list[File], list[File]]:
    """Return shards of the pictures among the files, the files that were read for what they say of them, and those left out, with reasons.

    A picture is known by its ending, else by its first bytes. Captions are in a ``.txt`` file beside it, or it has a line in a local
    metadata.jsonl or metadata.csv at the top; else its label is the folder at the top that it lies in.
    """
    by_name = {file.name: file for file in files}
    metadata = next((by_name[name] for name in METADATA if name in by_name and by_name[name].local), None)
    told = _told(metadata) if metadata else {}
    pictures: list[File] = []
    rest: list[File] = []
    for file in files:
        (pictures if PurePosixPath(file.name).suffix.lower() in ENDINGS else rest).append(file)
    captions = {file.name: by_name.get(_caption(file.name)) for file in pictures}
    companions = [file for file in captions.values() if file] + ([metadata] if metadata else [])
    known = {file.name for file in companions}
    left: list[File] = []
    for file in rest:
        if file.name in known:
            continue
        if not file.skipped and _is_picture(file):
            pictures.append(file)
        else:
            left.append(File(file.name, file.path, skipped=file.skipped or ("it is no picture" if file.size else "it is empty (0 bytes)")))
    pictures.sort(key=lambda file: file.name)
    return [_shard(part, captions, told) for part in _parts(pictures)], companions, left


def _caption(name: str) -> str:
    return os.path.splitext(name)[0] + CAPTION


def _is_picture(file: File) -> bool:
    try:
        with file.open() as opened:
            head = opened.read(16)
    except OSError:
        return False
    return head.startswith(SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:12] in (b"ftypavif", b"ftypavis")


def _parts(files: Sequence[File]) -> Iterator[list[File]]:
    """Yield the files in pieces that end after a name whose hash says so."""
    part: list[File] = []
    for file in files:
        part.append(file)
        ends = int.from_bytes(blake2b(file.name.encode(), digest_size=8).digest()) % CUT == 0
        if ends or len(part) == MOST:
            yield part
            part = []
    if part:
        yield part


def _shard(files: list[File], captions: Mapping[str, File | None], told: Told) -> Shard:
    beside = [caption for file in files if (caption := captions.get(file.name))]
    entries: list[digest.Json] = [[file.name, *told[file.name]] for file in files if file.name in told]
    key = key_of([*files, *beside], entries)
    rows = partial(_rows, files, captions, told)
    return Shard(f"files from {files[0].name}", key, rows, len(files), sum(file.size for file in files))


def _rows(files: Sequence[File], captions: Mapping[str, File | None], told: Told) -> Iterator[Row]:
    for file in files:
        caption, skipped = captions.get(file.name), file.skipped
        text, label = told.get(file.name, ("", None))
        if label is None and not text and not caption and "/" in file.name:
            label = file.name.split("/", 1)[0]
        if caption:
            try:
                text = " ".join(caption.read().decode("utf-8-sig").split())
            except (OSError, UnicodeDecodeError, Unreadable) as error:
                skipped = skipped or f"its caption cannot be read ({error})"
        yield Row(file.name, uid_of(file.name), file.read, None, text, label, file.local, file.size, skipped)


def _told(metadata: File) -> Told:
    """Return text and label of each file that a metadata file names."""
    out: dict[str, tuple[str, int | str | None]] = {}
    for _, record in records(Path(metadata.path)):
        name, label, named = record.get("file_name"), record.get("label"), record.get("class")
        if isinstance(name, str):
            own = label if isinstance(label, int | str) and not isinstance(label, bool) else None
            out[name] = (said(record) or "", named if isinstance(named, str) else own)
    return out
