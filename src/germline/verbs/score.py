"""Scores of a pool that belongs to no run."""

import re
from collections.abc import Sequence
from pathlib import Path

from germline import registry
from germline.core.errors import BadInput
from germline.core.names import name_of
from germline.core.progress import bars
from germline.core.protocols import Extractor, Scorer
from germline.core.splits import Splits
from germline.pools import Opened, density, shards_of
from germline.pools.accounts import account
from germline.pools.blocks import Fit
from germline.pools.cost import cost, searching, told
from germline.pools.density import Density
from germline.pools.named import score_of
from germline.pools.select import Wish
from germline.pools.unfinished import forget
from germline.pools.work import Work, do
from germline.verbs.arguments import print_json


def score(
    pool: str,
    by: str,
    out: Path,
    real: str | None = None,
    size: int | None = None,
    half: bool = False,
    cache: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Score every row of a pool of any size, shard by shard; what was scored before is read back.

    Examples:
      germline score --pool photos/ --by aesthetic_v2 --out scores/
      germline score --pool 's3://bucket/shards/' --by clip:/models/clip,hps_v2.1:/models/HPS_v2.1_compressed.pt --out scores/ --dry-run
      germline score --pool made.parquet --by mine:brightness,name=bright --out scores/
      germline score --pool made/ --by density:efficientnet,support:efficientnet --real photos/ --size 64 --out scores/

    There is one Parquet file a shard in OUT/rows: id, uid, why a row could not be used, and a column a scorer. OUT/skipped.parquet lists
    every file and row that could not. Run it again when the pool has grown, or with other scorers: only what is new is made.

    Args:
        pool: a folder of pictures, WebDataset tars, Parquet, .npz or .npy files, one such file, or an address that fsspec opens.
        by: scorers, commas between them: clip, aesthetic_v2, hps_v2, hps_v2.1, pickscore, imagereward, each also as NAME:WEIGHTS;
            an address; ratings:TABLE; or module:function. In features: density:EXTRACTOR (minus the distance to the 5th nearest row of
            the pool, of embeddings plain density), support:EXTRACTOR (below 0 outside of where real rows lie; null=0.05 of real ones are)
            and confidence:EXTRACTOR (arXiv 2511.12742; clusters=20 where there are no labels); the last two need --real.
        out: the output folder; never inside of the pool.
        real: the real images that support, confidence, a classifier or PCA are fitted on: a folder, a file or a named set.
        size: bring every image to this many pixels a side first (its central square); pictures of many sizes are scored faster so.
        half: keep features in 16 bits.
        cache: where scores of single images are kept; the user's own cache when not given.
        dry_run: print hours and bytes, measured on a few rows, and make nothing.
        json: print JSON.
    """
    outside(out, pool)
    scorers = scorers_of(by)
    data = real_of(real, size) if real else None
    opened = shards_of(pool)
    rows, dense = split_by(scorers)
    space = space_of_density(dense, opened)
    work = Work(out, rows, space, fit_of(size, data), half, data, cache)
    if dry_run:
        found = cost(work, opened)
        search = searching(Wish(1, "top", Density.name), found.rows, opened, work) if dense else 0.0
        return print_json(found.to_json() | {"search_seconds_at_most": search}) if json else print(found.text() + compared(search))
    made = do(work, opened, bars)
    whole = account(opened, out)
    if dense:
        density.score(work, opened, bars)
        forget(out)
    if json:
        print_json({"out": str(out), "made": made, **whole.to_json()})
    else:
        print(f"{out}: {whole.text()}. {made:,} shards were made now, {len(opened.shards) - made:,} before.")


def scorers_of(by: str) -> tuple[Density | Scorer, ...]:
    """Return the scorers of a list with commas; what follows a comma as NAME=VALUE is a field of the one before."""
    return tuple(score_of(name) for name in re.split(r",(?!\w+=)", by) if name)


def split_by(scorers: Sequence[Density | Scorer]) -> tuple[tuple[Scorer, ...], Density | None]:
    """Return the scorers of single rows, and density, which looks at all rows at once."""
    dense = [scorer for scorer in scorers if isinstance(scorer, Density)]
    if len(dense) > 1:
        raise BadInput("--by names density twice, and there is one column of it; score in the second space into another --out.")
    return tuple(scorer for scorer in scorers if not isinstance(scorer, Density)), dense[0] if dense else None


def space_of_density(dense: Density | None, opened: Opened) -> Extractor | None:
    """Return the extractor that density is measured with; None of embeddings, which are their own.

    Raises:
        BadInput: the pool's rows are images and no extractor is named, or they are none and one is.
    """
    images = any(shard.vectors is None for shard in opened.shards)
    if dense is not None and images and dense.extractor is None:
        raise BadInput("--by density measures distances of images; say in which space: density:efficientnet, or density:pixels.")
    if dense is not None and not images and dense.extractor is not None:
        raise BadInput(f"--by density:{name_of(dense.extractor)} looks at images, but {opened.name} holds embeddings; write density alone.")
    return None if dense is None else dense.extractor


def fit_of(size: int | None, data: Splits | None) -> Fit:
    """Return what is done to every image: it is brought to the size and the channels of the real ones, where there are some."""
    return Fit(size or (data.image_shape[0] if data else None), data.image_shape[2] if data else None)


def compared(seconds: float) -> str:
    """Return in words what comparing rows takes, on a line of its own."""
    return f"\nComparing them takes at most {told(seconds)}." if seconds else ""


def outside(out: Path, pool: str) -> None:
    """Refuse an output folder inside of the pool, which is never changed, and one that is no folder of this machine.

    Raises:
        BadInput: it is.
    """
    here(out)
    where = Path(pool.removeprefix("file://")).expanduser().resolve()
    if where.is_dir() and (out.expanduser().resolve() == where or where in out.expanduser().resolve().parents):
        raise BadInput(f"--out {out} lies inside of --pool {pool}, and nothing of a pool is ever changed; name a folder elsewhere.")


def here(out: Path) -> None:
    """Refuse an address where a folder or file of this machine is to be named; a path would make a folder called s3: of it.

    Raises:
        BadInput: it is an address.
    """
    if re.match(r"\w+:/", str(out)):
        raise BadInput(f"{out} is an address, and what is made is written to this machine; name a folder or file here, and copy it there.")


def real_of(name: str, size: int | None) -> Splits:
    """Return the real data of a name or path."""
    return registry.DataFlags(data=name, size=size).load()
