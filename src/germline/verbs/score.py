"""Scores of a pool that belongs to no run."""

import re
from pathlib import Path

from germline import registry
from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.core.protocols import Scorer
from germline.core.splits import Splits
from germline.pools import shards_of
from germline.pools.accounts import account
from germline.pools.blocks import Fit
from germline.pools.cost import cost
from germline.pools.work import Work, do
from germline.scorers.named import scorer as scorer_of
from germline.verbs.arguments import print_json


def score(
    pool: str,
    by: str,
    out: Path,
    size: int | None = None,
    cache: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Score every image of a pool of any size, shard by shard; what was scored before is read back.

    Examples:
      germline score --pool photos/ --by aesthetic_v2 --out scores/
      germline score --pool 's3://bucket/shards/' --by clip:/models/clip,hps_v2.1:/models/HPS_v2.1_compressed.pt --out scores/ --dry-run
      germline score --pool made.parquet --by mine:brightness,name=bright --out scores/

    There is one Parquet file a shard in OUT/rows: id, uid, why a row could not be used, and a column a scorer. OUT/skipped.parquet lists
    every file and row that could not. Run it again when the pool has grown, or with other scorers: only what is new is made.

    Args:
        pool: a folder of pictures, WebDataset tars, Parquet, .npz or .npy files, one such file, or an address that fsspec opens.
        by: scorers, commas between them: clip, aesthetic_v2, hps_v2, hps_v2.1, pickscore, imagereward, each also as NAME:WEIGHTS;
            an address; ratings:TABLE; or module:function.
        out: the output folder; never inside of the pool.
        size: bring every image to this many pixels a side first (its central square); pictures of many sizes are scored faster so.
        cache: where scores of single images are kept; the user's own cache when not given.
        dry_run: print hours and bytes, measured on a few rows, and make nothing.
        json: print JSON.
    """
    outside(out, pool)
    opened = shards_of(pool)
    work = Work(out, scorers_of(by), fit=Fit(size), cache=cache)
    if dry_run:
        found = cost(work, opened)
        return print_json(found.to_json()) if json else print(found.text())
    made = do(work, opened, bars)
    told = account(opened, out)
    if json:
        print_json({"out": str(out), "made": made, **told.to_json()})
    else:
        print(f"{out}: {told.text()}. {made:,} shards were made now, {len(opened.shards) - made:,} before.")


def scorers_of(by: str) -> tuple[Scorer, ...]:
    """Return the scorers of a list with commas; what follows a comma as NAME=VALUE is a field of the one before."""
    return tuple(scorer_of(name) for name in re.split(r",(?!\w+=)", by) if name)


def outside(out: Path, pool: str) -> None:
    """Refuse an output folder inside of the pool, which is never changed.

    Raises:
        BadInput: it is.
    """
    where = Path(pool.removeprefix("file://")).expanduser().resolve()
    if where.is_dir() and (out.expanduser().resolve() == where or where in out.expanduser().resolve().parents):
        raise BadInput(f"--out {out} lies inside of --pool {pool}, and nothing of a pool is ever changed; name a folder elsewhere.")


def real_of(name: str, size: int | None) -> Splits:
    """Return the real data of a name or path."""
    return registry.DataFlags(data=name, size=size).load()
