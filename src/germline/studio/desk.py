"""A study that raters can sit down at: its database, made or found again, and the pictures, read where they lie."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from germline.core import digest, seeds
from germline.core.digest import Json
from germline.core.errors import BadInput, Corrupt, GermlineError, RunConflict
from germline.core.progress import Progress, silent
from germline.core.scores import pair_of
from germline.studio.ballot import ASKED, Arm, Ballot, Item, Showing, deck
from germline.studio.votes import Entry, Put, Votes, create

KEPT_READY = 64  # pictures that stay encoded, for those who go back
Read = Callable[[], UInt8[np.ndarray, "h w c"]]


@dataclass(frozen=True, eq=False)
class Desk:
    """What the page asks of a study.

    Attributes:
        votes: the database.
        reads: opens each picture, by number.
    """

    votes: Votes
    reads: Mapping[int, Read]
    items: tuple[Put, ...] = field(init=False)
    images: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.votes.items()))
        object.__setattr__(self, "images", tuple(entry.image for entry in self.votes.pictures()))

    @cached_property
    def ballot(self) -> Ballot:
        """How the study is put."""
        return self.votes.ballot

    @cached_property
    def key(self) -> str:
        """What tells this study from another in a browser's memory."""
        return digest.of_json([str(self.votes.path), str(self.votes.about["listing"]), list(self.images)])[:16]

    def deck(self, rater: str) -> tuple[Showing, ...]:
        """Return what a rater is shown, in order."""
        return deck(self.ballot, len(self.items), rater)

    def study(self) -> dict[str, Json]:
        """Return what the page says before anybody has given a name."""
        total = len(self.deck("")) * len(self.ballot.questions)
        raters: list[Json] = [{"name": name, "done": done} for name, done in self.votes.raters().items()]
        asked: list[Json] = [{"id": question, "text": ASKED[question]} for question in self.ballot.questions]
        return {"kind": self.ballot.kind, "key": self.key, "questions": asked, "total": total, "raters": raters}

    def dealt(self, rater: str) -> dict[str, Json]:
        """Return a rater's showings, pictures from left to right, with what was answered: the page begins where an answer is missing."""
        given = {(vote.item, vote.again, vote.question): vote.answer for vote in self.votes.current(rater)}
        showings: list[Json] = []
        for one in self.deck(rater):
            put = self.items[one.item]
            pictures: list[Json] = [*put.pictures[:: -1 if one.mirrored else 1]]
            answers: dict[str, Json] = {
                question: given[one.item, one.again, question]
                for question in self.ballot.questions
                if (one.item, one.again, question) in given
            }
            showings.append({"pictures": pictures, "prompt": put.prompt if self.votes.about["prompts"] else "", "answers": answers})
        return {"rater": rater, "showings": showings}

    def vote(self, rater: str, place: object, question: object, answer: object) -> int:
        """Add a rater's answer about the showing at a place of their deck, and return its number.

        Raises:
            BadInput: there is no such place, question or answer.
        """
        shown = self.deck(rater)
        if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(shown):
            raise BadInput(f"A deck has places from 0 to {len(shown) - 1}, but the place is {place!r}.")
        if not isinstance(question, str) or not isinstance(answer, str):
            raise BadInput(f"Question and answer are text, but are {question!r} and {answer!r}.")
        return self.votes.add(rater, shown[place], question, answer)

    @cached_property
    def png(self) -> Callable[[int], bytes]:
        """Returns a picture as PNG, by number, without anything but its pixels.

        Raises:
            BadInput: there is no such number.
            GermlineError: the picture is gone, cannot be read, or is no longer the one that the study was made of.
        """
        return lru_cache(KEPT_READY)(self._png)

    def _png(self, number: int) -> bytes:
        if not 0 <= number < len(self.images):
            raise BadInput(f"Pictures count from 0 to {len(self.images) - 1}, but {number} was asked for.")
        try:
            image = self.reads[number]()
        except (OSError, BadInput) as error:
            raise GermlineError(f"Picture {number} cannot be read any more ({error}).") from error
        if pair_of(image, "")[0] != self.images[number]:
            raise Corrupt(f"Picture {number} is no longer the one that the study was made of. Restore it, or start a new study.")
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG", compress_level=1)
        return file.getvalue()


def opened(path: Path, ballot: Ballot, arms: Sequence[Arm], items: Sequence[Item], progress: Progress = silent) -> Desk:
    """Return a study's desk; its database is made where there is none yet.

    What is equal to the pixel is left out: of singles a second one with the same prompt, of pairs those that nobody could tell apart.

    Raises:
        RunConflict: the file holds another study.
        BadInput: nothing is left to vote on, or a picture cannot be read.
    """
    listing = _listing(arms, items)
    if path.exists():
        votes = Votes(path)
        _same(votes, ballot, listing)
    else:
        _make(path, ballot, arms, items, listing, progress)
        votes = Votes(path)
    where = {(arm.name, picture.name): picture.read for arm in arms for picture in arm.pictures}
    return Desk(votes, {entry.number: where[entry.arm, entry.name] for entry in votes.pictures()})


def _listing(arms: Sequence[Arm], items: Sequence[Item]) -> str:
    named: list[Json] = [
        [item.prompt, *(part for a, p in item.places for part in (arms[a].name, arms[a].pictures[p].name))] for item in items
    ]
    return digest.of_json(named)


def _same(votes: Votes, ballot: Ballot, listing: str) -> None:
    was, now = votes.about["ballot"], ballot.to_json()
    assert isinstance(was, dict)
    other = [name.replace("_", "-") for name in now if now[name] != was.get(name)]
    if other or listing != votes.about["listing"]:
        raise RunConflict(
            f"{votes.path} holds a study with {f'another {other[0]}' if other else 'other pictures, prompts or pairs'}."
            " Give what it was made with, or another --out for a new one."
        )


def _make(path: Path, ballot: Ballot, arms: Sequence[Arm], items: Sequence[Item], listing: str, progress: Progress) -> None:
    used = sorted({place for item in items for place in item.places})
    known: dict[tuple[int, int], str] = {}
    with progress(f"read pictures for {path.name}", len(used)) as advance:
        for a, p in used:
            known[a, p] = pair_of(arms[a].pictures[p].read(), "")[0]
            advance(1)
    kept = _distinct(items, known)
    if not kept:
        raise BadInput("Nothing is left to vote on: every pair is of two equal pictures." if items else "There is no picture to vote on.")
    places = sorted({place for item in kept for place in item.places})
    # a picture's number is all that the page knows of it: it must not tell the arm
    numbers = dict(zip(places, seeds.rng(ballot.seed, 0, "vote/numbers").permutation(len(places)).tolist(), strict=True))
    entries = [Entry(numbers[a, p], arms[a].name, arms[a].pictures[p].name, known[a, p]) for a, p in places]
    puts = [Put(number, item.prompt, tuple(numbers[place] for place in item.places)) for number, item in enumerate(kept)]
    about: dict[str, Json] = {
        "ballot": ballot.to_json(),
        "arms": [arm.name for arm in arms],
        "listing": listing,
        "left_out": len(items) - len(kept),
        "prompts": any(picture.prompt for arm in arms for picture in arm.pictures),
    }
    create(path, about, sorted(entries, key=lambda entry: entry.number), puts)


def _distinct(items: Sequence[Item], known: Mapping[tuple[int, int], str]) -> list[Item]:
    seen: set[tuple[str, str]] = set()
    out = []
    for item in items:
        first, *second = (known[place] for place in item.places)
        if (second and second[0] == first) or (not second and (first, item.prompt) in seen):
            continue
        seen.add((first, item.prompt))
        out.append(item)
    return out
