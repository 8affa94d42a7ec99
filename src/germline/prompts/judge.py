"""Judging: keep clear and specific prompts. The raw replies are kept, so thresholds move without asking again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from germline.core.digest import Json, canonical
from germline.core.errors import GermlineError
from germline.core.progress import Progress, silent
from germline.prompts.answers import Answer, undecided
from germline.prompts.replies import Replies, Reply
from germline.prompts.write import Outcome

MADE = ("clarity", "specificity", "decision", "judge", "reply", "reason", "detail")


@dataclass(frozen=True)
class Cost:
    """What asking takes: calls, and tokens read and written, estimated at four characters each."""

    calls: int
    tokens_in: int
    tokens_out: int


class Judge(Protocol):
    """Something that rates the clarity and the specificity of prompts."""

    @property
    def name(self) -> str:
        """The model's id: with the instruction and the prompt it finds a reply again."""
        ...

    @property
    def note(self) -> str:
        """What every output says of this judge: whether it is the paper's method, and what its scores count in."""
        ...

    @property
    def instruction(self) -> str:
        """The hash of what it is told beside the prompt."""
        ...

    @property
    def thresholds(self) -> tuple[float, float]:
        """Clarity and specificity from which a prompt is kept, unless the user says otherwise."""
        ...

    def ask(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | str]]:
        """Yield (number, raw reply) in any order; a text instead of a reply is a failure that may pass, and is asked again next time."""
        ...

    def read(self, reply: Reply) -> Answer:
        """Return what a raw reply says."""
        ...

    def cost(self, prompts: Sequence[str]) -> Cost:
        """Return what asking these prompts would take."""
        ...


def judge(
    prompts: pa.Table,
    by: Judge,
    cache: Path,
    clarity: float | None = None,
    specificity: float | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Return prompts that are clear and specific enough, and the rest with reasons; what could not be decided is kept, and marked.

    Every row gets ``clarity``, ``specificity``, ``decision`` (kept, rejected, undecided), ``judge`` and the raw ``reply``. Replies that
    lie in ``cache`` already are not asked for.

    Source: arXiv 2502.09963 keeps prompts that Llama 3 finds clear and specific. Instruction, scale and thresholds are not stated there;
    all of them are ours, and so is keeping what is undecided.

    Raises:
        GermlineError: there is no reply at all.
    """
    least = (by.thresholds[0] if clarity is None else clarity, by.thresholds[1] if specificity is None else specificity)
    texts = prompts["prompt"].to_pylist()
    replies, failed = asked(texts, by, cache, progress)
    if failed and not replies:
        raise GermlineError(f"{by.name} gave no reply to any prompt ({next(iter(failed.values()))}). Look at it, then run again.")
    answers = [by.read(replies[text]) if text in replies else undecided(failed[text]) for text in texts]
    decided = [_decision(answer, least) for answer in answers]
    columns = {
        "clarity": pa.array([answer.clarity for answer in answers], pa.float64()),
        "specificity": pa.array([answer.specificity for answer in answers], pa.float64()),
        "decision": pa.array([decision for decision, _, _ in decided], pa.string()),
        "judge": pa.array([f"{by.name} ({by.note})"] * len(texts), pa.string()),
        "reply": pa.array([canonical(dict(replies[text])) if text in replies else None for text in texts], pa.string()),
        "reason": pa.array([reason for _, reason, _ in decided], pa.string()),
        "detail": pa.array([detail for _, _, detail in decided], pa.string()),
    }
    table = prompts.drop_columns([name for name in MADE if name in prompts.column_names])
    for name, values in columns.items():
        table = table.append_column(name, values)
    rejected = pa.array([decision == "rejected" for decision, _, _ in decided], pa.bool_())
    kept = pa.array([decision != "rejected" for decision, _, _ in decided], pa.bool_())
    about: dict[str, Json] = {
        "stage": "judge",
        "judge": by.name,
        "note": by.note,
        "instruction": by.instruction,
        "clarity_from": least[0],
        "specificity_from": least[1],
        "undecided": sum(decision == "undecided" for decision, _, _ in decided),
        "asked_again_next_time": len(failed),
    }
    if failed:
        about["first_failure"] = next(iter(failed.values()))
    return Outcome(table.filter(kept), table.filter(rejected), about)


def asked(prompts: Sequence[str], by: Judge, cache: Path, progress: Progress = silent) -> tuple[dict[str, Reply], dict[str, str]]:
    """Return the raw reply to each distinct prompt, asking only for those that are not in the cache, and why some have none."""
    distinct, failed = list(dict.fromkeys(prompts)), {}
    with Replies.opened(cache, by.instruction, by.name) as replies:
        missing = [prompt for prompt in distinct if replies.get(prompt) is None]
        known = f", {len(distinct) - len(missing):,} known" if len(missing) < len(distinct) else ""
        with progress(f"judge ({by.name}{known})", len(missing)) as advance:  # what is known took no time, so it is no part of the ETA
            for number, said in by.ask(missing) if missing else ():
                if isinstance(said, str):
                    failed[missing[number]] = said
                else:
                    replies.add(missing[number], said)
                advance(1)
        found = {prompt: reply for prompt in distinct if (reply := replies.get(prompt)) is not None}
    return found, failed


def unasked(prompts: Sequence[str], by: Judge, cache: Path) -> list[str]:
    """Return the distinct prompts of which there is no reply yet; nothing is asked or written."""
    known = Replies.peek(cache, by.instruction, by.name)
    return [prompt for prompt in dict.fromkeys(prompts) if known.get(prompt) is None]


def _decision(answer: Answer, least: tuple[float, float]) -> tuple[str, str, str]:
    """Return decision, reason and detail of an answer."""
    if answer.clarity is None or answer.specificity is None:
        return "undecided", "", answer.problem
    low = [
        (word, f"{name} {value:.3g} is below {limit:.3g}")
        for word, name, value, limit in (
            ("unclear", "clarity", answer.clarity, least[0]),
            ("unspecific", "specificity", answer.specificity, least[1]),
        )
        if value < limit
    ]
    return ("rejected", " and ".join(w for w, _ in low), ", ".join(d for _, d in low)) if low else ("kept", "", "")
