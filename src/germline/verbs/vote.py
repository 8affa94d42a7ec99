"""People's votes on images: a page on this machine, a report, ratings."""

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import tyro

from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.generation import IMAGES
from germline.core.progress import bars
from germline.report import voted
from germline.report.printed import print_table
from germline.studio import ratings
from germline.studio.ballot import APPEAL, FAITHFUL, KEPT, Arm, Ballot, Item, couples, distinct, singles
from germline.studio.desk import Desk, opened
from germline.studio.results import NO_STRENGTHS, page, results, tables
from germline.studio.server import server
from germline.studio.votes import Votes
from germline.verbs.arguments import Name, print_json
from germline.verbs.arms import arm_of
from germline.verbs.stages import act, usage_of

Sources = tyro.conf.Positional[tuple[str, ...]]
PORT, VOTES = 8008, Path("votes.db")
EXAMPLES = (
    "germline vote keep runs/rsidiff --out kept.db",
    "germline vote export kept.db --out ratings.parquet",
    "germline vote pairs eval/images/rsidiff-000 eval/images/rsidiff-006 --most 150 --out study.db",
    "germline vote report study.db --out study.html",
)
ABOUT = (
    "The page is served to this machine only (127.0.0.1), and fetches nothing from elsewhere. Every answer is on disk before the next"
    "\nquestion. Run the same command again to go on: raters who give the same name go on where they stopped."
)


def vote(arguments: Sequence[str]) -> None:
    """Let people keep or reject images, or compare pairs blind, on a page of this machine; report, export ratings."""
    act("vote", STAGES, arguments, usage_of("vote", STAGES, EXAMPLES, ABOUT))


def keep(
    source: Name,
    out: Path = VOTES,
    generation: int | None = None,
    seed: int = 0,
    port: int = PORT,
    browser: bool = True,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Show one image after the other, to be kept or rejected by a key; the votes become ratings by germline vote export.

    Examples:
      germline vote keep runs/rsidiff
      germline vote keep runs/rsidiff --generation 3 --out round3.db
      germline vote keep made/ --port 8010 --no-browser

    Equal images of one prompt are shown once. Each rater has an order of their own.

    Args:
        source: a run folder (or a name in ./runs), a folder with samples.npy and samples.parquet, or a pool: a folder of pictures,
            WebDataset tars, Parquet, .npz or .npy.
        out: the database of votes; what is there already goes on.
        generation: of a run; the last one when not given.
        seed: of the order.
        port: of this machine; 0 takes a free one.
        browser: open the page in the browser.
        dry_run: say how many images, and stop.
        json: print JSON.
    """
    arms = [arm_of(source, generation)]
    _put(Ballot("keep", (KEPT,), seed), arms, singles(arms), out, port, browser, dry_run, json)


def pairs(
    sources: Sources,
    out: Path = VOTES,
    generation: int | None = None,
    against: str | None = None,
    most: int | None = None,
    a_prompt: int = 1,
    a_rater: int | None = None,
    repeat: float = 0.1,
    faithfulness: bool = True,
    seed: int = 0,
    port: int = PORT,
    browser: bool = True,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Show two images of one prompt from two runs or folders, blind and with random sides, and ask which looks better, which fits the text.

    The user study of arXiv 2502.09963, Table 1. Equal, and both bad, are answers too.

    Examples:
      germline vote pairs eval/images/rsidiff-000 eval/images/rsidiff-006 --most 150
      germline vote pairs runs/rsidiff runs/sft runs/base --generation 6 --against base-006 --out study.db
      germline vote pairs ours/ theirs/ --a-rater 50 --repeat 0.2 --no-browser

    The k-th image of a prompt is compared with the other's k-th; of germline evaluate these began with the same noise. Folders without
    captions are paired by file name, and not asked about the text.

    Args:
        sources: two or more of what germline vote keep takes; every two are compared.
        out: the database of votes; what is there already goes on.
        generation: of runs; the last one of each when not given. RUN/gen_003 is a source too.
        against: the arm that every other is compared with, and the others not among themselves.
        most: take so many prompts, evenly spread.
        a_prompt: pairs of each prompt.
        a_rater: pairs a rater, drawn for each; all when not given.
        repeat: share of a rater's pairs that come again with sides swapped, to see how steady the rater is.
        faithfulness: ask about the text too.
        seed: of orders, sides and repeats.
        port: of this machine; 0 takes a free one.
        browser: open the page in the browser.
        dry_run: say how many pairs, and stop.
        json: print JSON.
    """
    arms = [arm_of(source, None if (Path(source) / IMAGES).exists() else generation) for source in sources]
    distinct(arms)
    worded = any(picture.prompt for arm in arms for picture in arm.pictures)
    questions = (APPEAL, FAITHFUL) if faithfulness and worded else (APPEAL,)
    _put(Ballot("pairs", questions, seed, repeat, a_rater), arms, couples(arms, a_prompt, most, against), out, port, browser, dry_run, json)


def report(votes: Name, out: Path | None = None, json: bool = False) -> None:
    """Say what the votes come to: win shares with intervals, strengths of three arms or more, how steady raters are.

    Intervals are 95 %, clustered by rater and prompt (Cameron, Gelbach and Miller 2011); with fewer than three of either there is none.
    It may be asked while people vote.

    Examples:
      germline vote report study.db --out study.html
      germline vote report kept.db --json

    Args:
        votes: the database.
        out: write the page to this file.
        json: print JSON.
    """
    if out is not None and out.is_dir():
        raise BadInput(f"--out {out} is a folder; name a file, such as {out / 'votes.html'}.")
    found = results(Votes(Path(votes)))
    if out is not None:
        voted.write(page(found, f"Votes on {', '.join(found.arms)}"), out)
    if json:
        return print_json(found.to_json())
    for title, table in tables(found):
        print_table(title, table)
    if any(strong is None for _, strong in found.strengths):
        print(NO_STRENGTHS)
    if out is not None:
        print(f"{out} shows it.")


def export(votes: Name, out: Path = Path("ratings.parquet"), json: bool = False) -> None:
    """Write keep and reject votes as ratings that a recipe or germline select chooses by, or all answers of a study of pairs.

    Examples:
      germline vote export kept.db --out ratings.parquet
      germline run rsidiff --scorers ratings:ratings.parquet,by=image,missing=0 --generations 1 --out runs/round1

    A rating is the share of raters who keep the image, from 0 to 1; the image is known by the sha256 of its pixels. Votes on generation 0
    choose what generation 1 is trained on, and no more: each further round is a fork, voted on anew (docs/vote.md, "Keep or reject").

    Args:
        votes: the database.
        out: the Parquet file.
        json: print JSON.
    """
    found = Votes(Path(votes))
    rows = ratings.export(found, out)
    how = f"ratings:{out},by=image" if found.ballot.kind == "keep" else None
    if json:
        return print_json({"out": str(out), "rows": rows, "scorer": how})
    print(f"{out}: {rows:,} {'ratings' if how else 'answers'}.")
    if how:
        print(f"As a scorer: {how} (missing=0 where not all were voted on). It knows these images alone, so vote on each round's anew.")


STAGES: dict[str, Callable[..., None]] = {"keep": keep, "pairs": pairs, "report": report, "export": export}


def _put(
    ballot: Ballot, arms: Sequence[Arm], items: Sequence[Item], out: Path, port: int, browser: bool, dry_run: bool, json: bool
) -> None:
    """Open a study and serve its page until Ctrl-C."""
    if dry_run:
        return _say(ballot, arms, items, out, json)
    desk = opened(out, ballot, arms, items, bars)
    with server(desk, port) as made:
        url = f"http://{made.server_address[0]!s}:{made.server_address[1]}/"
        if json:
            print_json({"url": url, "votes": str(out), "items": len(desk.items), "left_out": desk.votes.about["left_out"]})
        else:
            print(f"{url} asks about {_what(desk)}; votes go to {out}. Ctrl-C stops it, and the same command goes on.", flush=True)
        if browser:
            webbrowser.open(url)
        made.serve_forever()


def _say(ballot: Ballot, arms: Sequence[Arm], items: Sequence[Item], out: Path, json: bool) -> None:
    """Say what would be asked, and make nothing."""
    n = len(items) if ballot.a_rater is None else min(ballot.a_rater, len(items))
    again = min(round(ballot.repeat * n), n // 2)
    facts: dict[str, Json] = {
        "arms": {arm.name: len(arm.pictures) for arm in arms},
        "items": len(items),
        "prompts": len({item.prompt for item in items}),
        "a_rater": n + again,
        "again": again,
        "keys_a_rater": (n + again) * len(ballot.questions),
        "votes": str(out),
        "there": out.exists(),
    }
    if json:
        return print_json(facts)
    what = "pairs" if ballot.kind == "pairs" else "images"
    print(f"{', '.join(f'{arm.name}: {len(arm.pictures):,} images' for arm in arms)}.")
    print(
        f"{len(items):,} {what} of {facts['prompts']:,} prompts; a rater sees {n + again:,}, {again:,} of them again, and presses", end=""
    )
    print(f" {facts['keys_a_rater']:,} keys. {out} {'is there already' if out.exists() else 'would be made'}; nothing was made now.")


def _what(desk: Desk) -> str:
    left, what = desk.votes.about["left_out"], "pairs" if desk.ballot.kind == "pairs" else "images"
    return f"{len(desk.items):,} {what}" + (f" ({left:,} equal ones left out)" if left else "")
