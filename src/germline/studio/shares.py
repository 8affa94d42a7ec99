"""Win shares of arms and how steady raters are, with intervals that heed that answers share raters and prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from germline.core.intervals import Interval
from germline.core.two_way import over_two_ways
from germline.studio.votes import Entry, Put, Vote

TIES = ("tie", "bad")


@dataclass(frozen=True)
class Judged:
    """An answer to a question about a pair, freed of sides: the share of a win that ``arm`` has (1, 0, or a half) over ``against``."""

    rater: str
    prompt: str
    question: str
    arm: str
    against: str
    answer: str
    won: float


@dataclass(frozen=True)
class Share:
    """How often an arm was preferred over another.

    Attributes:
        question: what was asked.
        arm: the one that is preferred, or not.
        against: the other.
        wins: answers for it.
        losses: answers for the other.
        ties: answers that called both equal.
        both_bad: answers that called both bad.
        share: wins, ties and both bad counted half, over all answers: 0.5 is no difference.
        decided: wins over wins and losses; None where nothing was decided.
        raters: who answered.
        prompts: that were asked about.
    """

    question: str
    arm: str
    against: str
    wins: int
    losses: int
    ties: int
    both_bad: int
    share: Interval
    decided: Interval | None
    raters: int
    prompts: int


@dataclass(frozen=True)
class Steady:
    """A rater: questions answered, repeats among them, how many of these got the same answer, the share of decided ones for the left."""

    rater: str
    answered: int
    repeated: int
    same: int
    left: float | None


def judged(votes: Sequence[Vote], pictures: Sequence[Entry], items: Sequence[Put]) -> list[Judged]:
    """Return the answers about pairs, repeats left out: what an item's second showing adds is known of the first."""
    out = []
    for vote in votes:
        if not vote.again:
            put = items[vote.item]
            first, second = (pictures[number].arm for number in put.pictures)
            for_first = preferred(vote)
            won = 0.5 if for_first is None else float(for_first)
            out.append(Judged(vote.rater, put.prompt, vote.question, first, second, vote.answer, won))
    return out


def preferred(vote: Vote) -> bool | None:
    """Return whether the item's first picture was preferred; None for a tie. It stands on the left unless the item was mirrored."""
    return None if vote.answer in TIES else (vote.answer == "left") != vote.mirrored


def shares(answers: Sequence[Judged]) -> list[Share]:
    """Return the share of every two arms that were compared and every question, in the order in which they come first."""
    groups: dict[tuple[str, str, str], list[Judged]] = {}
    for one in answers:
        groups.setdefault((one.question, one.arm, one.against), []).append(one)
    return [_share(*names, of) for names, of in groups.items()]


def _share(question: str, arm: str, against: str, of: Sequence[Judged]) -> Share:
    decided = [one for one in of if one.answer not in TIES]
    wins = sum(one.won == 1 for one in decided)
    return Share(
        question=question,
        arm=arm,
        against=against,
        wins=wins,
        losses=len(decided) - wins,
        ties=sum(one.answer == "tie" for one in of),
        both_bad=sum(one.answer == "bad" for one in of),
        share=share_of([one.won for one in of], [one.rater for one in of], [one.prompt for one in of]),
        decided=share_of([one.won for one in decided], [one.rater for one in decided], [one.prompt for one in decided])
        if decided
        else None,
        raters=len({one.rater for one in of}),
        prompts=len({one.prompt for one in of}),
    )


def share_of(values: Sequence[float], raters: Sequence[str], prompts: Sequence[str]) -> Interval:
    """Return the mean of values from 0 to 1 with its 95 % interval, clustered by rater and prompt and cut to 0 and 1.

    Where all values are equal, their spread says nothing: then the interval takes in what a share p of other answers would change, with
    p = 1 - 0.025^(1 / G), G the fewer of raters and prompts: the bound of Clopper and Pearson (1934) for G answers of which none was
    other (ours: it counts a cluster as one answer). Under three raters or prompts there is none.
    """
    found = over_two_ways(values, raters, prompts)
    if found.low is None or found.high is None:
        return found
    if min(values) < max(values):
        return Interval(found.mean, found.n, max(found.low, 0.0), min(found.high, 1.0))
    unseen = 1 - 0.025 ** (1 / min(len(set(raters)), len(set(prompts))))
    low = found.mean * (1 - unseen)
    return Interval(found.mean, found.n, low, low + unseen)


def steadiness(votes: Sequence[Vote]) -> list[Steady]:
    """Return each rater's record, in the order in which they came."""
    first = {(vote.rater, vote.item, vote.question): vote for vote in votes if not vote.again}
    out = []
    for rater in dict.fromkeys(vote.rater for vote in votes):
        own = [vote for vote in votes if vote.rater == rater]
        repeats = [(first.get((rater, vote.item, vote.question)), vote) for vote in own if vote.again]
        both = [(was, now) for was, now in repeats if was is not None]
        sides = [vote.answer == "left" for vote in own if vote.answer not in TIES]
        out.append(Steady(rater, len(own), len(both), sum(_same(*two) for two in both), float(np.mean(sides)) if sides else None))
    return out


def agreement(votes: Sequence[Vote], items: Sequence[Put]) -> Interval | None:
    """Return the share of repeats that got the same answer, over all raters; None without repeats."""
    first = {(vote.rater, vote.item, vote.question): vote for vote in votes if not vote.again}
    both = [(first[key], vote) for vote in votes if vote.again and (key := (vote.rater, vote.item, vote.question)) in first]
    if not both:
        return None
    same = [float(_same(*two)) for two in both]
    return share_of(same, [vote.rater for _, vote in both], [items[vote.item].prompt for _, vote in both])


def _same(was: Vote, now: Vote) -> bool:
    """Return whether two answers mean the same picture, whatever the sides; equal and both bad are two answers."""
    return was.answer == now.answer if was.answer in TIES or now.answer in TIES else preferred(was) == preferred(now)


def kept(votes: Sequence[Vote], pictures: Sequence[Entry], items: Sequence[Put]) -> Mapping[str, Interval]:
    """Return the share of votes that keep, of every arm and over all of them ("all", where there are several)."""
    rows = [(pictures[items[v.item].pictures[0]].arm, float(v.answer == "keep"), v.rater, items[v.item]) for v in votes if not v.again]
    arms = list(dict.fromkeys(arm for arm, *_ in rows))
    groups = {arm: [row for row in rows if row[0] == arm] for arm in arms} | ({"all": rows} if len(arms) > 1 else {})
    return {
        name: share_of([row[1] for row in of], [row[2] for row in of], [row[3].prompt or str(row[3].number) for row in of])
        for name, of in groups.items()
    }
