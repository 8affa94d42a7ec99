"""Votes as tables for other programs: ratings of images that the scorer ``Ratings`` reads, and every answer of a study of pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.atomic import replacing
from germline.core.errors import BadInput
from germline.studio.votes import Entry, Votes


def export(votes: Votes, out: Path) -> int:
    """Write a study's votes as Parquet and return the number of rows.

    Of kept and rejected images: a row an image, ``image`` (the sha256 of its pixels), ``score`` (the share of raters who keep it, a mean
    over each prompt's raters and then over prompts, 0 to 1), ``raters``, ``prompts``, and where it was first: ``arm``, ``name``. Of
    pairs: a row an answer, the last of each question, with the pictures' arms, names and hashes from left to right as they stood.

    Raises:
        BadInput: ``out`` does not end in .parquet, or there is no vote yet.
        GermlineError: it cannot be written.
    """
    if out.suffix != ".parquet":
        raise BadInput(f"--out must end in .parquet, but is {out}.")
    pictures = votes.pictures()
    rows = _ratings(votes, pictures) if votes.ballot.kind == "keep" else _answers(votes, pictures)
    if not rows:
        raise BadInput(f"{votes.path} holds no vote yet; germline vote {votes.ballot.kind} opens the page.")
    with replacing(out) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)
    return len(rows)


def _ratings(votes: Votes, pictures: list[Entry]) -> list[dict[str, object]]:
    items = votes.items()
    first: dict[str, Entry] = {}
    said: dict[str, dict[str, dict[str, float]]] = {}  # image, prompt, rater
    for vote in votes.current():
        entry, prompt = pictures[items[vote.item].pictures[0]], items[vote.item].prompt
        first.setdefault(entry.image, entry)
        said.setdefault(entry.image, {}).setdefault(prompt, {})[vote.rater] = float(vote.answer == "keep")
    return [
        {
            "image": image,
            "score": float(np.mean([np.mean(list(raters.values())) for raters in by_prompt.values()])),
            "raters": len({rater for raters in by_prompt.values() for rater in raters}),
            "prompts": len(by_prompt),
            "arm": first[image].arm,
            "name": first[image].name,
        }
        for image, by_prompt in said.items()
    ]


def _answers(votes: Votes, pictures: list[Entry]) -> list[dict[str, object]]:
    items = votes.items()
    out: list[dict[str, object]] = []
    for vote in votes.current():
        first, second = (pictures[number] for number in items[vote.item].pictures)
        left, right = (second, first) if vote.mirrored else (first, second)
        row: dict[str, object] = {
            **{name: getattr(vote, name) for name in ("rater", "question", "answer", "again", "at")},
            "pair": vote.item,
            "prompt": items[vote.item].prompt,
        }
        for side, entry in (("left", left), ("right", right)):
            row |= {f"{side}_arm": entry.arm, f"{side}_name": entry.name, f"{side}_image": entry.image}
        out.append(row)
    return out
