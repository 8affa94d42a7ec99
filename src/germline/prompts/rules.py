"""The judge for when there is no model: rules on letters and words. It is NOT the paper's method, and says so wherever it speaks."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from germline.prompts import instruction
from germline.prompts.answers import Answer, undecided
from germline.prompts.judge import Cost
from germline.prompts.read import PARTI
from germline.prompts.replies import Reply
from germline.prompts.text import words

NOTE = "rules of ours, 1-5: NOT the paper's method, which asks Llama 3"
STOP = frozenset(
    words(
        "a an the of in on at to and or with for from by is are was be as it its his her their this that these those into over under near"
        " behind between beside above below through up down out off very so some any other one there which who where while but not no"
    )
)
LINKS = frozenset(words("of in on at with by under over near behind between beside above below wearing holding standing sitting made lit"))
VAGUE = frozenset(
    words(
        "something anything thing things stuff cool nice awesome beautiful amazing good great best pretty art image picture photo pic"
        " random whatever idea design concept style epic masterpiece quality detailed 4k 8k hd trending artstation"
    )
)
UNFINISHED = STOP - {"no", "not", "up", "down", "out", "off", "there", "one", "some", "any", "other"}


@dataclass(frozen=True)
class Rules:
    """Clarity from how word-like the words are, repeats and a cut-off end; specificity from the number of telling words and links.

    clarity = 5 - 4 x (share of odd words, share of repeats, marks; at most 1) - 1 if the end is cut off. A word is odd if its pairs of
    letters are rare in PartiPrompts (mean log-probability below -4.4), or if no vowel is in it.
    specificity = 1 + 4 x (1 - exp(-(telling words + links) / 6)).

    Source: none; all of it is ours and stands in for a language model where there is none.
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "rules"

    @property
    def note(self) -> str:
        """What every output says."""
        return NOTE

    @property
    def instruction(self) -> str:
        """The hash of the rules' version."""
        return instruction.hash_of(["rules", 1])

    @property
    def thresholds(self) -> tuple[float, float]:
        """Ours, untuned."""
        return 4.0, 3.0

    def ask(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | str]]:
        """Yield what was counted of every prompt."""
        for number, prompt in enumerate(prompts):
            yield number, dict(features(prompt))

    def read(self, reply: Reply) -> Answer:
        """Return the scores of what was counted."""
        try:
            of = {name: float(str(reply[name])) for name in ("words", "odd", "repeated", "marks", "cut", "telling", "links")}
        except (KeyError, ValueError):
            return undecided("not what these rules count")
        if not of["words"]:
            return Answer(1.0, 1.0)
        bad = min(1.0, of["odd"] / of["words"] + of["repeated"] / of["words"] + of["marks"])
        clarity = max(1.0, 5 - 4 * bad - of["cut"])
        return Answer(clarity, 1 + 4 * (1 - math.exp(-(of["telling"] + of["links"]) / 6)))

    def cost(self, prompts: Sequence[str]) -> Cost:
        """No calls, no tokens."""
        return Cost(0, 0, 0)


def features(prompt: str) -> dict[str, float]:
    """Return what the rules look at: numbers of words of several kinds, and the share of characters that are odd marks."""
    found = words(prompt)
    told = [word for word in found if word not in STOP and word not in VAGUE]
    bare = [word for word in found if word.isalpha()]
    marks = len(re.findall(r"[^\w\s,.;:'’\"“”!?()&/-]|(.)\1{3,}", prompt))
    return {
        "words": len(found),
        "odd": sum(odd(word) for word in bare),
        "repeated": sum(count - 1 for word, count in Counter(told).items() if count > 2),
        "marks": marks / max(1, len(prompt)) * 5,
        "cut": float(bool(found) and found[-1] in UNFINISHED and not prompt.rstrip().endswith((".", "!", "?"))),
        "telling": len(set(told)),
        "links": sum(word in LINKS for word in found),
    }


def odd(word: str) -> bool:
    """Return whether a word does not look like one: its pairs of letters are rare, or it has no vowel. Words of three letters pass."""
    if len(word) <= 3 or not word.isascii():
        return False
    pairs, total = _pairs()
    ends = f"^{word}$"
    mean = sum(math.log((pairs[ends[i : i + 2]] + 0.1) / (total[ends[i]] + 2.8)) for i in range(len(ends) - 1)) / (len(ends) - 1)
    return mean < -4.4 or not set(word) & set("aeiouy")


@lru_cache(maxsize=1)
def _pairs() -> tuple[Counter[str], Counter[str]]:
    """Return how often each pair of letters, and each first of a pair, occurs in the distinct words of PartiPrompts."""
    known = {word for word in words(PARTI.read_text(encoding="utf-8")) if word.isascii() and word.isalpha()}
    pairs = Counter(f"^{word}$"[i : i + 2] for word in known for i in range(len(word) + 1))
    total: Counter[str] = Counter()
    for pair, count in pairs.items():
        total[pair[0]] += count
    return pairs, total
