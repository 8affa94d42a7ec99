"""One pass over a shard: rows decoded once, and scored, and turned into features, as far as that was not done before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from germline.core import digest
from germline.core.atomic import replacing
from germline.core.cache import Cache
from germline.core.context import Context, checked
from germline.core.errors import BadInput
from germline.core.names import name_of
from germline.core.pool import Pool
from germline.core.progress import Advance, Progress, silent
from germline.core.protocols import Extractor, Scorer
from germline.core.scores import users_folder
from germline.core.splits import Splits
from germline.pools import captions
from germline.pools import table as tables
from germline.pools.blocks import Block, Fit, blocks
from germline.pools.opened import Opened
from germline.pools.shard import Row, Shard
from germline.pools.stacked import Stacked
from germline.pools.table import Table
from germline.scorers.identity import own_code
from germline.scorers.support import Support

WINDOW = 8  # blocks that share a file of kept scores: all of a file is read for each of its blocks


@dataclass(frozen=True)
class Work:
    """What is to be made of a pool, and where it is kept.

    Attributes:
        out: the output folder: rows/SHARD.parquet and features/EXTRACTOR/SHARD.npy.
        scorers: scores of images and captions; one that is fitted needs ``real``.
        extractor: of the features; None makes none, and embeddings are their own.
        fit: what is done to every image first.
        half: keep features in 16 bits instead of 32.
        real: the real data that scorers and extractors are fitted on.
        cache: where scores of single rows are kept until their shard is finished, and after.
    """

    out: Path
    scorers: tuple[Scorer, ...] = ()
    extractor: Extractor | None = None
    fit: Fit = field(default_factory=Fit)
    half: bool = False
    real: Splits | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        names = [scorer.name for scorer in self.scorers]
        if odd := [name for name in names if names.count(name) > 1 or name in ("id", "uid", "skipped")]:
            raise BadInput(f"--by: two columns would be called {odd[0]}; give one of them another name: {odd[0]},name=other.")
        for part in (*self.scorers, self.extractor):
            needs = getattr(part, "needs", ())
            if "founder" in needs:
                raise BadInput(f"{name_of(part)} reads the model of a run's generation 0, and a pool has none; name another.")
            if needs and self.real is None:
                raise BadInput(f"{name_of(part)} is fitted on real rows; give some: --real DIR or the name of a data set.")

    @cached_property
    def keys(self) -> dict[str, str]:
        """What each scorer's column depends on, beside the shard."""
        return {scorer.name: self._key(scorer) for scorer in self.scorers}

    @cached_property
    def features(self) -> Path:
        """The folder of the features."""
        assert self.extractor is not None
        kind = "f16" if self.half else "f32"
        return self.out / "features" / f"{name_of(self.extractor)}-{kind}-{self._key(self.extractor)[:12]}"

    def _key(self, part: object) -> str:
        needs = getattr(part, "needs", ())
        real = self.real.digest if needs and self.real else ""
        return digest.of_json([digest.describe(part), digest.describe(self.fit), real, *own_code(part)])

    @property
    def worded(self) -> bool:
        """Whether conditions are words."""
        return self.real is None or not self.real.classes or not any(map(_reads_classes, self.scorers))

    def conditions(self, rows: Sequence[Row]) -> np.ndarray:
        """Return captions, else labels, in words; class numbers where a scorer was fitted on the real data's classes.

        Raises:
            BadInput: a row's class is not among the real data's.
        """
        if self.worded or self.real is None:
            return np.array([row.words for row in rows], dtype=np.str_)
        place = {name: number for number, name in enumerate(self.real.classes)}
        return np.array([_class(row, place) for row in rows], np.int64)

    def stacked(self, pool: Opened, usable: Sequence[Int64[np.ndarray, " n"]]) -> Stacked:
        """Return the features of usable rows, or the pool's own embeddings; ``usable`` has a shard's rows, counted over the whole pool."""
        arrays, kept, start = [], [], 0
        for shard, rows in zip(pool.shards, usable, strict=True):
            if shard.vectors is None:
                array = np.load(self.features / f"{shard.stem}.npy", mmap_mode="r", allow_pickle=False)
            else:
                array = shard.vectors()
            arrays.append(array)
            kept.append(rows - start)
            start += len(array)
        return Stacked(arrays, kept, [shard.name for shard in pool.shards])

    @cached_property
    def fitted(self) -> Context:
        """The context of what is fitted on the real data, once, in memory."""
        return Context(0, 0, self._data)

    def keeping(self, window: str) -> Context:
        """Return the context of scorers that keep each row's score, of a few blocks together."""
        return Context(0, 0, self._data, cache=Cache((self.cache or users_folder()) / "pools" / window))

    @property
    def _data(self) -> Splits:
        if self.real is not None:
            return self.real
        nothing = Pool.of(np.zeros((0, 1, 1, 1), np.uint8))
        return Splits("this pool", (), nothing, nothing, nothing, nothing)


def do(work: Work, pool: Opened, progress: Progress = silent) -> int:
    """Make what is missing, shard by shard, and return how many shards that were; a killed one is begun again, from the kept scores on.

    Raises:
        BadInput: the pool has no images for the scorers, or no captions, or features differ in number.
    """
    refuse_without_captions(work, pool)
    left = [shard for shard in pool.shards if missing(work, shard)]
    counted = all(shard.count is not None for shard in left)
    total = sum((shard.count or 0) if counted else shard.size for shard in left)
    with progress("rows" if counted else "bytes", max(1, total)) as advance:
        lacking = sum(_shard(work, shard, advance, counted) for shard in left)
    captions.note(work.scorers, lacking)
    tables.remove_stale(work.out / tables.FOLDER, pool.shards, ".parquet")
    if work.extractor is not None:
        tables.remove_stale(work.features, pool.shards, ".npy")
    return len(left)


def refuse_without_captions(work: Work, pool: Opened) -> None:
    """Refuse a pool none of whose rows has the caption that a scorer reads.

    Raises:
        BadInput: it is one.
    """
    if work.worded:
        captions.refuse_without(work.scorers, pool)


def missing(work: Work, shard: Shard) -> bool:
    """Whether something of this shard is still to be made."""
    known = tables.read(tables.path_of(work.out, shard))
    if known is None or any(known.made_by.get(name) != key for name, key in work.keys.items()):
        return True
    return shard.vectors is None and work.extractor is not None and not (work.features / f"{shard.stem}.npy").exists()


def _shard(work: Work, shard: Shard, advance: Advance, counted: bool) -> int:
    """Make what is missing of a shard, and return how many rows were scored without a caption."""
    path = tables.path_of(work.out, shard)
    before = tables.read(path) or Table((), (), ())
    todo = [scorer for scorer in work.scorers if before.made_by.get(scorer.name) != work.keys[scorer.name]]
    if todo and shard.vectors is not None:
        raise BadInput(f"{todo[0].name} scores images, but {shard.name} holds embeddings only; name a pool of images.")
    lacking = shard.vectors is None and work.extractor is not None and not (work.features / f"{shard.stem}.npy").exists()
    made = Made(shard, todo, work.extractor if lacking else None, lambda row: advance(1 if counted else row.size))
    made.all_of(work)
    if lacking:
        features = made.features(np.float16 if work.half else np.float32)
        with replacing(work.features / f"{shard.stem}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, features)
    scores = {scorer.name: made.column(scorer.name) for scorer in todo}
    keys = {scorer.name: work.keys[scorer.name] for scorer in todo}
    tables.write(path, Table(made.ids, made.uids, made.reasons, {**before.scores, **scores}, {**before.made_by, **keys}), shard)
    return made.lacking if work.worded and captions.told_of(todo) else 0


class Made:
    """What was made of one shard, or of its first rows."""

    def __init__(
        self,
        shard: Shard,
        scorers: Sequence[Scorer],
        extractor: Extractor | None,
        read: Callable[[Row], None] = lambda row: None,
        most: int | None = None,
    ) -> None:
        self._shard, self._scorers, self._extractor, self._read, self._most = shard, scorers, extractor, read, most
        self.ids: list[str] = []
        self.uids: list[str] = []
        self.reasons: list[str] = []
        self.lacking = 0  # rows without a caption
        self._scores: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {scorer.name: [] for scorer in scorers}
        self._features: list[tuple[np.ndarray, np.ndarray]] = []

    def all_of(self, work: Work) -> None:
        """Read every row; decode, score and turn into features what is an image."""
        if self._shard.vectors is not None:
            for _ in self._rows():
                pass
            return
        for number, block in enumerate(blocks(self._rows(), work.fit, self.reasons.__setitem__)):
            self._block(work, block, f"{self._shard.stem}/{number // WINDOW}")

    def _rows(self) -> Iterator[tuple[int, Row]]:
        for place, row in enumerate(islice(self._shard.rows(), self._most)):
            self.ids.append(row.id)
            self.uids.append(row.uid)
            self.reasons.append(row.skipped)
            self._read(row)
            yield place, row

    def _block(self, work: Work, block: Block, window: str) -> None:
        pool = block.pool(work.conditions)
        self.lacking += sum(not row.words.strip() for row in block.rows)
        for scorer in self._scorers:
            ctx = work.fitted if getattr(scorer, "needs", ()) else work.keeping(window)
            self._scores[scorer.name].append((block.places, np.asarray(scorer(pool, ctx), np.float64)))
        if self._extractor is not None:
            seen = pool if work.fit.channels is not None else block.coloured().pool(work.conditions)
            self._features.append((block.places, checked(self._extractor, self._extractor(seen, work.fitted), len(seen))))

    def column(self, name: str) -> Float[np.ndarray, " n"]:
        """Return a scorer's numbers, NaN for rows that could not be used."""
        out = np.full(len(self.ids), np.nan)
        for places, values in self._scores[name]:
            out[places] = values
        return out

    def features(self, kind: type[np.floating]) -> Float[np.ndarray, "n d"]:
        """Return the features, zeros for rows that could not be used.

        Raises:
            BadInput: images of different shapes have features of different lengths, or they are too large for 16 bits.
        """
        widths = {values.shape[1] for _, values in self._features}
        if len(widths) > 1:
            low, *_, high = sorted(widths)
            raise BadInput(
                f"{name_of(self._extractor)} makes {low} numbers of some images of {self._shard.name} and {high} of others, since they"
                " differ in size; bring all to one: --size 64, say."
            )
        out = np.zeros((len(self.ids), *widths), kind)
        for places, values in self._features:
            if np.abs(values).max(initial=0) > np.finfo(kind).max:
                raise BadInput(
                    f"{name_of(self._extractor)} makes numbers up to {np.abs(values).max():.3g}, too large for 16 bits; no --half."
                )
            out[places] = values
        return out if widths else out[:, None]


def _reads_classes(scorer: Scorer) -> bool:
    """Whether a scorer was fitted on classes and asks for each row's own: support never does, nor what has clusters instead."""
    return bool(getattr(scorer, "needs", ())) and not isinstance(scorer, Support) and getattr(scorer, "clusters", None) is None


def _class(row: Row, place: Mapping[str, int]) -> int:
    """Return the number of a row's class among the real data's: by its name, or its own number."""
    label = str(row.label).strip()
    number = place.get(label, int(label) if label.isdecimal() and int(label) < len(place) else -1)
    if number < 0:
        has, do = f"the class {row.label!r}", "rename it, or leave it out"
        if row.label is None:
            has, do = "no class", "give every row one, or take clusters: select --clusters 20, score --by confidence:EXTRACTOR,clusters=20"
        raise BadInput(f"{row.id} has {has}, but what is fitted on the real data knows {', '.join(list(place)[:12])}; {do}.")
    return number
