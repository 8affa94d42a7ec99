"""What is voted on: pictures, the items that are put to raters, and the order and the sides in which one rater meets them."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from germline.core import seeds
from germline.core.digest import Json
from germline.core.errors import BadInput

Kind = Literal["keep", "pairs"]
APPEAL, FAITHFUL, KEPT = "appeal", "faithfulness", "kept"
ASKED = {
    APPEAL: "Which picture looks better?",
    FAITHFUL: "Which picture shows better what the text says?",
    KEPT: "Keep this picture?",
}
ANSWERS: dict[Kind, tuple[str, ...]] = {"keep": ("keep", "reject"), "pairs": ("left", "right", "tie", "bad")}
LONGEST = 40  # letters of a rater's name


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of an arm: its name there, the prompt that it was made of ("" where there is none), and how its pixels are read."""

    name: str
    prompt: str
    read: Callable[[], UInt8[np.ndarray, "h w c"]]


@dataclass(frozen=True, eq=False)
class Arm:
    """Pictures that come from one place: a generation of a run, a folder."""

    name: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Item:
    """One picture to keep or reject, or two to compare, by their places in ``(arm, picture)``; ``prompt`` is what raters may share."""

    prompt: str
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Ballot:
    """How a study is put to raters; two studies with equal ballots and equal items are one.

    Attributes:
        kind: keep (one picture, kept or rejected) or pairs (two pictures of one prompt).
        questions: asked of every item, in this order.
        seed: of the order, the sides and the repeats.
        repeat: share of a rater's items that come a second time, with the sides swapped.
        a_rater: items a rater; all when None.
    """

    kind: Kind
    questions: tuple[str, ...]
    seed: int = 0
    repeat: float = 0.0
    a_rater: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.repeat <= 0.5:
            raise BadInput(f"--repeat is the share of pairs that a rater sees twice, from 0 to 0.5, but is {self.repeat}.")
        if self.a_rater is not None and self.a_rater < 1:
            raise BadInput(f"--a-rater must be at least 1, but is {self.a_rater}.")

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {**asdict(self), "questions": list(self.questions)}


@dataclass(frozen=True)
class Showing:
    """An item as a rater meets it: its number, whether it is the repeat, whether its second picture stands on the left."""

    item: int
    again: bool = False
    mirrored: bool = False


@lru_cache(256)
def deck(ballot: Ballot, items: int, rater: str) -> tuple[Showing, ...]:
    """Return what one rater is shown, in order: a function of the seed and the rater's name, so it is the same whenever they come back.

    The repeats are of items of the first half, and come in the last third: at least a sixth of the items lies between the two.
    """
    draw = [seeds.rng(ballot.seed, 0, f"vote/{rater}", place=place) for place in range(3)]
    order = draw[0].permutation(items)[: ballot.a_rater].tolist()
    pairs = ballot.kind == "pairs"
    first = [Showing(item, False, pairs and bool(side)) for item, side in zip(order, draw[1].integers(0, 2, len(order)), strict=True)]
    count = min(round(ballot.repeat * len(first)), len(first) // 2)
    chosen = draw[2].permutation(len(first) // 2)[:count]
    after: dict[int, list[Showing]] = defaultdict(list)
    for place, slot in zip(chosen, draw[2].integers(math.ceil(2 * len(first) / 3), len(first) + 1, count), strict=True):
        was = first[int(place)]
        after[int(slot)].append(Showing(was.item, True, pairs and not was.mirrored))
    return tuple(one for place, one_time in enumerate(first, 1) for one in (one_time, *after[place]))


def singles(arms: Sequence[Arm]) -> list[Item]:
    """Return every picture as an item of its own."""
    return [Item(picture.prompt, ((a, p),)) for a, arm in enumerate(arms) for p, picture in enumerate(arm.pictures)]


def couples(arms: Sequence[Arm], a_prompt: int = 1, most: int | None = None, against: str | None = None) -> list[Item]:
    """Return pairs of pictures of the same prompt from two arms: the k-th picture of a prompt with the other's k-th.

    Where no picture has a prompt, pictures of one name belong together.

    Args:
        arms: two or more; every two of them are compared.
        a_prompt: pairs of each prompt at most.
        most: take so many prompts, evenly spread in the order of the first arm.
        against: the arm that every other is compared with, and the others not among themselves.

    Raises:
        BadInput: fewer than two arms, no arm of that name, or no prompt that two of them share.
    """
    for flag, count in (("--a-prompt", a_prompt), ("--most", 1 if most is None else most)):
        if count < 1:
            raise BadInput(f"{flag} must be at least 1, but is {count}.")
    if len(arms) < 2:
        raise BadInput("Pairs need two arms: germline vote pairs A B, folders or runs with pictures of the same prompts.")
    if against is not None and against not in [arm.name for arm in arms]:
        raise BadInput(f"--against {against} is none of {', '.join(arm.name for arm in arms)}.")
    known = [_by_prompt(arm, any(p.prompt for one in arms for p in one.pictures)) for arm in arms]
    met = [pair for pair in combinations(range(len(arms)), 2) if against is None or against in (arms[pair[0]].name, arms[pair[1]].name)]
    if against is not None:  # it is the second of every pair
        met = [(b, a) if arms[a].name == against else (a, b) for a, b in met]
    order = dict.fromkeys(prompt for one in known for prompt in one if sum(prompt in other for other in known) > 1)
    prompts = list(order)
    if most is not None and most < len(prompts):
        prompts = [prompts[int(place)] for place in np.rint(np.linspace(0, len(prompts) - 1, most))]
    found = [Item(prompt, ((a, x), (b, y))) for prompt in prompts for a, b in met for x, y in _together(known, prompt, a, b, a_prompt)]
    if not found:
        some = next(iter(known[0]), "none")
        raise BadInput(f"No prompt is in two of {', '.join(arm.name for arm in arms)}; a prompt of the first is {some!r}.")
    return found


def rater_name(text: object) -> str:
    """Return a rater's name as it is known by: lower case, no blanks around, so that who comes back is found again.

    Raises:
        BadInput: it is no text, empty, too long, or holds what cannot be shown.
    """
    name = " ".join(unicodedata.normalize("NFKC", text).split()).casefold() if isinstance(text, str) else ""
    if not name or len(name) > LONGEST or not name.isprintable():
        raise BadInput(f"A rater's name has 1 to {LONGEST} letters, but is {text!r}.")
    return name


def distinct(arms: Sequence[Arm]) -> None:
    """Refuse two arms of one name.

    Raises:
        BadInput: there are.
    """
    if twice := [name for name, count in Counter(arm.name for arm in arms).items() if count > 1]:
        raise BadInput(f"Two arms have the name {twice[0]}; rename a folder.")


def _by_prompt(arm: Arm, prompts: bool) -> dict[str, list[int]]:
    out: dict[str, list[int]] = defaultdict(list)
    for place, picture in enumerate(arm.pictures):
        if prompts and not picture.prompt:
            raise BadInput(f"{arm.name}: {picture.name} has no prompt, but other pictures have one; give it one or remove it.")
        out[picture.prompt if prompts else picture.name.rsplit(".", 1)[0]].append(place)
    return dict(out)


def _together(known: Sequence[dict[str, list[int]]], prompt: str, a: int, b: int, most: int) -> Iterator[tuple[int, int]]:
    yield from zip(known[a].get(prompt, [])[:most], known[b].get(prompt, [])[:most], strict=False)
