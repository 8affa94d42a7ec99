"""What a path or address holds, as shards: files of every kind, in one order, and those that are no rows with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from germline.core import digest
from germline.core.errors import BadInput, GermlineError
from germline.data import npz
from germline.pools import arrays, embeddings, parquet, tars
from germline.pools.files import File, files_of
from germline.pools.folder import pictures_of
from germline.pools.shard import Shard

DAMAGED = (*parquet.DAMAGED, *npz.DAMAGED)
KINDS: dict[str, Callable[[File], list[Shard]]] = {
    ".parquet": parquet.parquet_of,
    ".npz": arrays.npz_of,
    ".npy": arrays.npy_of,
    **dict.fromkeys(tars.ENDS, tars.tar_of),
}


@dataclass(frozen=True)
class Opened:
    """A pool: its shards, the files that are no rows (name, reason), and the names of those that only tell something of rows."""

    name: str
    shards: tuple[Shard, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    companions: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Changes with any shard."""
        return digest.of_json([[shard.name, shard.digest] for shard in self.shards])

    def path_of(self, identity: str) -> str:
        """Return where a row lies: the pool's path or address, and the row's id in it."""
        alone = "::" not in self.name and self.name.rsplit("/", 1)[-1] == re.split(r"[#/]", identity, maxsplit=1)[0]
        alone = alone and not Path(self.name).is_dir()
        return str(Path(self.name).parent / identity) if alone and "://" not in self.name else f"{_above(self.name, alone)}/{identity}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes in the order of their numbers, where every shard has the same ones."""
        names = {shard.classes for shard in self.shards}
        return names.pop() if len(names) == 1 else ()

    @property
    def count(self) -> int | None:
        """Rows, None where only reading tells."""
        counts = [shard.count for shard in self.shards]
        return None if None in counts else sum(count for count in counts if count is not None)


def shards_of(pool: str) -> Opened:
    """Return the shards of a folder or file, or of an address that fsspec opens.

    Pictures of any size and format, by their content; WebDataset tars; Parquet with an image column; .npz with ``images``; .npy of
    images, memory-mapped; embeddings (img_emb/img_emb_N.npy and metadata/metadata_N.parquet, or NAME.npy and NAME.parquet). A folder
    may hold several kinds. Nothing is decoded here.

    Raises:
        BadInput: there is nothing there, or nothing that can be used.
        MissingExtra: the library for such addresses is not installed.
    """
    files = files_of(pool)
    pairs, companions = embeddings.pairs_of(files)
    shards: list[Shard] = []
    skipped: list[tuple[str, str]] = []
    for vectors, metadata in pairs:
        before = len(shards)
        _try(partial(embeddings.embeddings_of, vectors, metadata), vectors, shards, skipped)
        companions += [metadata] if len(shards) > before else []
        skipped += [(metadata.name, f"it goes with {vectors.name}, which cannot be read")] if len(shards) == before else []
    taken = {file.name for pair in pairs for file in pair} | {file.name for file in companions}
    loose, told = [], [file.name for file in companions]
    for file in files:
        ending = next((ending for ending in KINDS if file.name.lower().endswith(ending)), None)
        if file.name in taken:
            continue
        if ending is None or file.skipped:
            loose.append(file)
        elif not _try(partial(KINDS[ending], file), file, shards, skipped):
            told.append(file.name)
    pictures, beside, left = pictures_of(loose)
    shards += pictures
    skipped += [(file.name, file.skipped) for file in left]
    if not shards:
        reason = f"; of {len(skipped)} files, the first is {skipped[0][0]!r}: {skipped[0][1]}" if skipped else ""
        raise BadInput(f"--pool {pool} holds no pictures, tars, Parquet or arrays{reason}.")
    return Opened(pool, tuple(shards), tuple(sorted(skipped)), tuple(sorted([*told, *(file.name for file in beside)])))


def _above(name: str, alone: bool) -> str:
    return name.rsplit("/", 1)[0] if alone else name.rstrip("/")


def _try(make: Callable[[], list[Shard]], file: File, shards: list[Shard], skipped: list[tuple[str, str]]) -> bool:
    """Add a file's shards, or why there are none; return whether it is accounted for: a Parquet file without images is not yet."""
    try:
        made = make()
    except (*DAMAGED, GermlineError) as error:
        skipped.append((file.name, f"it cannot be read ({str(error).splitlines()[0] if str(error) else type(error).__name__})"))
        return True
    shards += made
    return bool(made)
