"""Cleaning: what a crawled prompt says without HTML and interface syntax, and why some are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from germline.core.cache import Cache
from germline.core.errors import BadInput
from germline.core.progress import Progress, silent
from germline.prompts.duplicates import first_like, key, nearest_before, nearest_of
from germline.prompts.encoders import TextEncoder
from germline.prompts.length import CLIP_USABLE, IMAGEREWARD_USABLE, counter
from germline.prompts.markup import undecidable, without_markup
from germline.prompts.read import UNREADABLE
from germline.prompts.text import plain_text, single_blanks, words
from germline.prompts.vectors import embedded
from germline.prompts.write import Outcome

MADE = ("original", "removed", "words", "tokens", "imagereward_cuts", "reason", "detail", UNREADABLE)


@dataclass(frozen=True)
class Cleaning:
    """What cleaning does and what it lets through.

    Attributes:
        markup: "remove" interface syntax, "reject" prompts that have it, or "keep" it.
        tokenizer: folder of the tokenizer that counts tokens; without it they are estimated.
        max_tokens: longest prompt, in tokens without start and end; 75 is what CLIP reads. None lets all through.
        min_words: fewest words.
        near: cosine from which a prompt repeats an earlier one; None looks for exact repeats only.
        leak: cosine from which a prompt is an evaluation prompt; exact ones always are.
    """

    markup: Literal["remove", "reject", "keep"] = "remove"
    tokenizer: Path | None = None
    max_tokens: int | None = CLIP_USABLE
    min_words: int = 3
    near: float | None = None
    leak: float = 0.9

    def __post_init__(self) -> None:
        for name, value in (("near", self.near), ("leak", self.leak)):
            if value is not None and not 0 < value <= 1:
                raise BadInput(f"--{name} is a cosine above 0 and at most 1, but is {value}.")


@dataclass
class _Decisions:
    """Why rows are left out: the first reason stands."""

    reason: list[str]
    detail: list[str]

    def reject(self, row: int, reason: str, detail: str = "") -> None:
        if not self.reason[row]:
            self.reason[row], self.detail[row] = reason, detail

    def left(self) -> list[int]:
        return [row for row, reason in enumerate(self.reason) if not reason]


def clean(
    prompts: pa.Table,
    how: Cleaning,
    evaluation: Sequence[str] = (),
    encoder: TextEncoder | None = None,
    cache: Cache | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Return cleaned prompts, rejected ones with a reason each, and counts.

    Reasons, in the order in which they are looked for: ``unreadable`` (marked by ``read_prompts``), ``empty``, ``markup``, ``short``,
    ``long``, ``duplicate``, ``evaluation``, ``near evaluation``, ``near duplicate``; ``detail`` says which length, which prompt. The text
    as it came stays in ``original``, also when it is cleaned again, and ``imagereward_cuts`` marks prompts of which ImageReward would not
    read the end.

    Source: arXiv 2502.09963 says that prompts are cleaned and not how: the steps are ours.

    Raises:
        BadInput: near repeats are asked for without an encoder.
    """
    if how.near is not None and encoder is None:
        raise BadInput("Near duplicates need a text encoder; give one, or leave --near out.")
    originals = [text or "" for text in prompts["prompt"].to_pylist()]
    why = _Decisions([""] * len(originals), [""] * len(originals))
    for row, problem in enumerate(prompts[UNREADABLE].to_pylist() if UNREADABLE in prompts.column_names else ()):
        if problem:
            why.reject(row, "unreadable", problem)
    with progress("clean", len(originals)) as advance:
        texts, removed = _plain(originals, how, why, advance)
    count, counted_by = counter(how.tokenizer)
    tokens, lengths = count(texts), [len(words(text)) for text in texts]
    for row in why.left():
        if lengths[row] < how.min_words:
            why.reject(row, "short", f"{lengths[row]} words")
        elif how.max_tokens is not None and tokens[row] > how.max_tokens:
            why.reject(row, "long", f"{tokens[row]} tokens ({counted_by})")
    _repeats(texts, why)
    _leaks(texts, why, evaluation, how.leak, encoder, cache, progress)
    if how.near is not None and encoder is not None:
        _near_repeats(texts, why, how.near, encoder, cache, progress)
    cleaned_before = {"original", "removed", "imagereward_cuts"} <= set(prompts.column_names)
    kept = prompts.drop_columns([name for name in (*MADE, "prompt") if name in prompts.column_names])
    columns = {
        "prompt": texts,
        "original": prompts["original"].to_pylist() if cleaned_before else originals,
        "removed": removed,
        "words": lengths,
        "tokens": tokens,
        "imagereward_cuts": [number > IMAGEREWARD_USABLE for number in tokens],
        "reason": why.reason,
        "detail": why.detail,
    }
    for name, values in reversed(columns.items()):
        kept = kept.add_column(0, name, pa.array(values))
    good = pa.array([not reason for reason in why.reason], pa.bool_())
    rejected = kept.filter(pa.array([bool(reason) for reason in why.reason], pa.bool_()))
    about = {"stage": "clean", "tokens_by": counted_by, "encoder": encoder.name if encoder else None, "evaluation": len(evaluation)}
    return Outcome(kept.filter(good).drop_columns(["reason", "detail"]), rejected, about)


def _plain(originals: Sequence[str], how: Cleaning, why: _Decisions, advance: Callable[[int], None]) -> tuple[list[str], list[str]]:
    """Return the texts without markup, and what was taken out of each."""
    texts, removed = [], []
    for row, original in enumerate(originals):
        text, found = (plain_text(original), ()) if how.markup == "keep" else without_markup(plain_text(original))
        text = single_blanks(text)
        texts.append(text)
        removed.append(" ".join(found))
        left = undecidable(text) if how.markup != "keep" else None
        if not text:
            why.reject(row, "empty")
        elif left or (found and how.markup == "reject"):
            why.reject(row, "markup", left or " ".join(found))
        advance(1)
    return texts, removed


def _repeats(texts: Sequence[str], why: _Decisions) -> None:
    left = why.left()
    for row, first in zip(left, first_like([texts[row] for row in left]), strict=True):
        if left[first] != row:
            why.reject(row, "duplicate", texts[left[first]])


def _leaks(
    texts: Sequence[str],
    why: _Decisions,
    evaluation: Sequence[str],
    least: float,
    encoder: TextEncoder | None,
    cache: Cache | None,
    progress: Progress,
) -> None:
    """Reject what is an evaluation prompt, or nearly: a model that trained on it would be measured on what it has seen."""
    if not evaluation:
        return
    keys = {key(single_blanks(plain_text(text))) for text in evaluation}
    for row in why.left():
        if key(texts[row]) in keys:
            why.reject(row, "evaluation")
    left = why.left()
    if encoder is None or not left:
        return
    found, cosine = nearest_of(
        embedded(encoder, [texts[row] for row in left], cache, progress), embedded(encoder, list(evaluation), cache, progress)
    )
    for row, best, value in zip(left, found, cosine, strict=True):
        if value >= least:
            why.reject(row, "near evaluation", f"{value:.3f} {evaluation[best]}")


def _near_repeats(
    texts: Sequence[str], why: _Decisions, least: float, encoder: TextEncoder, cache: Cache | None, progress: Progress
) -> None:
    left = why.left()
    if not left:
        return
    like, cosine = nearest_before(embedded(encoder, [texts[row] for row in left], cache, progress), least)
    for row, other, value in zip(left, like, cosine, strict=True):
        if other >= 0:
            why.reject(row, "near duplicate", f"{value:.3f} {texts[left[other]]}")


def evaluation_prompts(table: pa.Table) -> list[str]:
    """Return the distinct texts of evaluation files, for ``clean`` to keep out."""
    return list(dict.fromkeys(text for text in table["prompt"].to_pylist() if text))
