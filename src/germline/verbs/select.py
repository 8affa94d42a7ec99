"""Rows of a pool that belongs to no run."""

from __future__ import annotations

from pathlib import Path

from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.core.protocols import Extractor, Scorer
from germline.core.splits import Splits
from germline.features.named import extractor as extractor_of
from germline.pools import Opened, chosen, shards_of
from germline.pools.accounts import account
from germline.pools.cost import cost, searching
from germline.pools.density import Density
from germline.pools.named import score_of
from germline.pools.select import By, Wish
from germline.pools.select import select as choose
from germline.pools.unfinished import forget
from germline.pools.work import Work, do
from germline.scorers import Confidence
from germline.verbs.arguments import print_json
from germline.verbs.score import compared, fit_of, outside, real_of, space_of_density


def select(
    pool: str,
    n: int,
    out: Path,
    by: By = "farthest",
    extractor: str | None = None,
    score: str | None = None,
    real: str | None = None,
    clusters: int | None = None,
    size: int | None = None,
    half: bool = False,
    keep_quantile: float | None = None,
    near_duplicates: float | None = None,
    tau: float | None = None,
    decay: float = 0.95,
    weigh: bool = False,
    seed: int = 0,
    copy: Path | None = None,
    link: Path | None = None,
    shards: Path | None = None,
    cache: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Choose n rows of a pool of any size; the pool itself is never changed.

    Examples:
      germline select --pool photos/ --n 5000 --by farthest --extractor efficientnet --keep-quantile 0.95 --out chosen/
      germline select --pool shards/ --n 5000 --by top --score aesthetic_v2 --out chosen/ --shards best/
      germline select --pool embeddings/ --n 50000 --near-duplicates 0.1 --out chosen/ --dry-run
      germline select --pool made/ --n 2000 --by confidence --real photos/ --extractor efficientnet --size 64 --out chosen/ --copy kept/

    OUT/chosen.parquet lists the rows, sorted: id, uid, shard, row, order, score, weight, reason. OUT/uids.npy has their uids as DataComp
    reads a subset; OUT/dropped.parquet and OUT/skipped.parquet say what was not chosen from. Run the same command again after a kill.

    Farthest rows are the odd ones, broken pictures first among them: keep-quantile drops lonely rows before. Above 2,000,000 rows farthest
    picks in parts, then in their union; that is not exact, and how far from it is printed.

    Args:
        pool: a folder of pictures, WebDataset tars, Parquet, .npz or .npy files, one such file, or an address that fsspec opens; or
            embeddings as clip-retrieval writes them.
        n: rows to choose.
        out: the output folder, with features and scores for the next time; never inside of the pool.
        by: uniform; top (of --score); farthest or threshold-decay (arXiv 2509.16499); confidence (arXiv 2511.12742; needs --real).
        extractor: the space of distances: efficientnet, pixels, dinov2:FOLDER, ...; embeddings are their own.
        score: the scorer of --by top, such as clip, aesthetic_v2 or density:pixels; what germline score made in OUT is read back.
        real: the real images that classifier, PCA and confidence are fitted on: a folder, a file or a named set.
        clusters: of --by confidence, where rows have no labels: so many k-means clusters take their place.
        size: bring every image to this many pixels a side first (its central square).
        half: keep features in 16 bits.
        keep_quantile: choose among this share of rows, those nearest to their 5th nearest row; of more than 50,000 rows, to that of a fixed
            random sample.
        near_duplicates: leave out rows nearer than this to an earlier one, before all else.
        tau: the first distance of threshold-decay; measured when not given.
        decay: what it is multiplied by after each pass.
        weigh: let each farthest row weigh as many rows as are nearest to it, over the mean: importance weights. It takes as many
            comparisons as rows times n. Without it, and for all other ways, every weight is 1.
        seed: of what is drawn.
        copy: a new folder for the chosen pictures, as they are stored, with metadata.jsonl.
        link: a new folder for links to them.
        shards: a new folder for WebDataset tars of them.
        cache: where scores of single images are kept; the user's own cache when not given.
        dry_run: print hours and bytes, measured on a few rows, and make nothing.
        json: print JSON.
    """
    outside(out, pool)
    pictures = [folder for folder in (copy, link, shards) if folder is not None]
    for folder in pictures:
        outside(folder, pool)
        if folder.exists():
            raise BadInput(f"{folder} is there already, and nothing is overwritten; name a new folder.")
    data = real_of(real, size) if real else None
    opened = shards_of(pool)
    if pictures and any(shard.vectors is not None for shard in opened.shards):
        raise BadInput(
            f"{pool} holds embeddings, and no pictures to write to {pictures[0]}; take the uids of OUT/uids.npy to where they are."
        )
    scorer = _scorer(by, score, extractor, clusters, data)
    wish = Wish(n, by, scorer.name if scorer else "", keep_quantile, near_duplicates, tau, decay, weigh, seed)
    space = _space(wish, extractor, opened, scorer)
    work = Work(out, () if scorer is None or isinstance(scorer, Density) else (scorer,), space, fit_of(size, data), half, data, cache)
    if dry_run:
        found = cost(work, opened)
        search = searching(wish, found.rows if found.shards == len(opened.shards) else opened.count, opened, work)
        return print_json(found.to_json() | {"search_seconds_at_most": search}) if json else print(found.text() + compared(search))
    do(work, opened, bars)
    whole = account(opened, out)
    choice = choose(work, opened, wish, bars)
    rows = chosen.write(choice, opened, out)
    if copy is not None:
        chosen.copy(rows, opened, copy, progress=bars)
    if link is not None:
        chosen.copy(rows, opened, link, link=True, progress=bars)
    if shards is not None:
        chosen.shards(rows, opened, shards, bars)
    forget(out)
    dropped = {reason: len(places) for places, reason in choice.dropped}
    if json:
        notes = {"dropped": {**dropped}, "notes": list(choice.notes), "radius_ratio": choice.ratio}
        return print_json({"out": str(out), "chosen": len(rows), **whole.to_json(), **notes})
    print(f"{out}: {len(rows):,} rows chosen of {whole.text()}.")
    for reason, count in dropped.items():
        print(f"  dropped before: {count:,} rows {reason}")
    for note in choice.notes:
        print(f"  {note}")


def _scorer(by: By, score: str | None, extractor: str | None, clusters: int | None, data: Splits | None) -> Density | Scorer | None:
    if by == "confidence":
        if data is None or extractor is None:
            raise BadInput("--by confidence fits a probe on real images: give them with --real, and its space with --extractor.")
        return Confidence((extractor_of(extractor),), clusters=clusters)
    if (by == "top") != (score is not None):
        raise BadInput("--by top needs --score, such as --score clip." if by == "top" else f"--score goes with --by top, not with {by}.")
    return score_of(score) if score else None


def _space(wish: Wish, extractor: str | None, opened: Opened, scorer: Density | Scorer | None) -> Extractor | None:
    """Return the extractor of distances; None where there are none, or the pool holds embeddings."""
    if isinstance(scorer, Density):
        own = space_of_density(scorer, opened)
        if extractor and own != extractor_of(extractor):
            raise BadInput(f"--score density and --extractor {extractor} name two spaces, but a pool is chosen from in one; leave one out.")
        return own
    images = any(shard.vectors is None for shard in opened.shards)
    if not images and extractor:
        raise BadInput(f"--extractor {extractor} looks at images, but {opened.name} holds embeddings, which are their own; leave it out.")
    if not images or not wish.in_features:
        return None
    if extractor is None:
        flag = f"--by {wish.by}" if wish.far else "--keep-quantile" if wish.keep_quantile is not None else "--near-duplicates"
        raise BadInput(f"{flag} measures distances; say in which space: --extractor efficientnet, or pixels, or dinov2:FOLDER.")
    return extractor_of(extractor)
