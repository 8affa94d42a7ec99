"""What a judge's reply says, and what is wrong with one that says nothing."""

import json
import re
from dataclasses import dataclass

from germline.prompts.instruction import CRITERIA, HIGHEST, LOWEST

FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.S)


@dataclass(frozen=True)
class Answer:
    """The two scores of a prompt, or why there are none. What they count in is the judge's: see ``Judge.scale``."""

    clarity: float | None
    specificity: float | None
    problem: str = ""


def undecided(problem: str) -> Answer:
    """Return an answer without scores."""
    return Answer(None, None, problem)


def parsed(content: str, finish_reason: str | None) -> Answer:
    """Return the scores in a chat completion, or what is wrong with it; nothing is guessed.

    Servers may take a schema and not follow it, and a constrained decoder can emit blanks until it is cut off (vllm#38696), so the
    reply is checked here whatever the server promised. A code fence around the object is allowed for; nothing else is.
    """
    if not content.strip():
        return undecided(f"blank reply of {len(content)} characters")
    if finish_reason == "length":
        return undecided("cut off at max_tokens")
    fenced = FENCE.match(content.strip())
    try:
        value = json.loads(fenced[1] if fenced else content)
    except (ValueError, RecursionError):
        return undecided("no JSON")
    if not isinstance(value, dict) or set(value) != set(CRITERIA):
        return undecided(f"not an object of {' and '.join(CRITERIA)}")
    for name in CRITERIA:
        number = value[name]
        if isinstance(number, bool) or not isinstance(number, int) or not LOWEST <= number <= HIGHEST:
            return undecided(f"{name} is no whole number from {LOWEST} to {HIGHEST}")
    return Answer(float(value["clarity"]), float(value["specificity"]))
