"""WebDataset tars as shards, read as a stream: consecutive members of one key are one row."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from germline.data.listing import ENDINGS, said
from germline.pools.files import File, key_of
from germline.pools.shard import LARGEST, Row, Shard, printable, uid_of

ENDS = (".tar", ".tar.gz", ".tgz")
TOLD = ("txt", "caption", "json", "cls")
CUT_SHORT = (tarfile.TarError, EOFError, zlib.error, OSError)


def tar_of(file: File) -> list[Shard]:
    """Return the one shard of a tar; nothing is read yet, so its rows are not counted."""
    return [Shard(file.name, key_of([file]), partial(_rows, file), None, file.size)]


@dataclass
class _Group:
    """The members of one key, as far as they are used."""

    key: str
    picture: bytes | None = None
    told: dict[str, bytes] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    bytes: int = 0


def _rows(file: File) -> Iterator[Row]:
    """Yield a row a key; a damaged tar ends with a row that says so."""
    seen: dict[str, int] = {}
    try:
        with file.open() as content, tarfile.open(fileobj=content, mode="r|*") as tar:
            for group in _groups(tar):
                again = seen[group.key] = seen.get(group.key, -1) + 1
                yield _row(f"{file.name}/{group.key}" + (f"#{again + 1}" if again else ""), group)
            end = int(tar.offset)
    except CUT_SHORT as error:
        file.not_the_line(error)
        yield _cut(file, f"the tar cannot be read from here on ({error})")
        return
    if file.name.endswith(".tar") and not _ends_well(file, end):
        yield _cut(file, "the tar ends without its end mark: it was cut off, and rows after this one may be missing")


def _cut(file: File, reason: str) -> Row:
    identity = f"{file.name}/"
    return Row(identity, uid_of(identity), skipped=reason)


def _ends_well(file: File, end: int) -> bool:
    """Return whether a block of zeros stands where the last member ended: tarfile takes a cut or overwritten header for the end."""
    with file.open() as content:
        content.seek(end)
        return content.read(512) == bytes(512)


def _groups(tar: tarfile.TarFile) -> Iterator[_Group]:
    group: _Group | None = None
    for member in tar:
        if member.isdir():
            continue
        name = printable(member.name)
        folder, slash, base = name.rpartition("/")
        stem, _, ending = base.partition(".")
        key = f"{folder}{slash}{stem}"
        if group is None or group.key != key:
            if group:
                yield group
            group = _Group(key)
        _take(group, tar, member, ending.lower())
    if group:
        yield group


def _take(group: _Group, tar: tarfile.TarFile, member: tarfile.TarInfo, ending: str) -> None:
    # in a tar every member begins with a block of 512 bytes, and is filled up to one
    group.bytes += 512 + -(-member.size // 512) * 512
    is_picture = f".{ending.rpartition('.')[2]}" in ENDINGS and group.picture is None
    if not member.isfile() or member.size > LARGEST or not (is_picture or ending in TOLD):
        group.others.append(ending or "no ending")
        return
    content = tar.extractfile(member)
    data = content.read() if content else b""
    if is_picture:
        group.picture = data
    else:
        group.told[ending] = data


def _row(identity: str, group: _Group) -> Row:
    told = {ending: data.decode("utf-8", "replace") for ending, data in group.told.items()}
    about = _json(told.get("json", ""))
    text = told.get("txt") or told.get("caption") or about.get("caption") or said(about) or ""
    label: int | str | None = told.get("cls", "").strip() or None
    if isinstance(label, str) and label.isdecimal():
        label = int(label)
    named = about.get("class")
    label = named if isinstance(named, str) else label
    picture = group.picture
    reason = "" if picture is not None else f"it holds no picture, only {', '.join([*told, *group.others])}"
    words = " ".join(text.split()) if isinstance(text, str) else ""
    return Row(identity, uid_of(identity, about.get("uid")), lambda: picture or b"", None, words, label, None, group.bytes, reason)


def _json(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
