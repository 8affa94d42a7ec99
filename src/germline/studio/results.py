"""What the votes of a study come to, in numbers, in words and on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import cast

from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.intervals import Interval
from germline.report.tables import Facts, Table
from germline.report.text import count, plural
from germline.report.voted import Bar, Page, Panel
from germline.studio.ballot import ASKED, Ballot
from germline.studio.bradley_terry import Strength, strengths
from germline.studio.shares import Share, Steady, agreement, judged, kept, shares, steadiness
from germline.studio.votes import Vote, Votes

PREFERRED = {"appeal": "Visual appeal", "faithfulness": "Faithfulness to the text"}
NO_STRENGTHS = (
    "No strengths: the arms can be parted so that no answer ever preferred one part's, or called it equal. The win shares say all there is."
)


@dataclass(frozen=True)
class Results:
    """A study's votes, counted.

    Of pairs ``shares``, ``strengths`` by question (None: there are none) and ``steady``; of singles ``kept`` and each rater's ``keeps``.
    """

    ballot: Ballot
    arms: tuple[str, ...]
    items: int
    left_out: int
    answers: int
    ever: int
    raters: tuple[Steady, ...]
    steady: Interval | None
    shares: tuple[Share, ...] = ()
    strengths: tuple[tuple[str, tuple[Strength, ...] | None], ...] = ()
    kept: tuple[tuple[str, Interval], ...] = ()
    keeps: tuple[tuple[str, int, int], ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return all numbers."""
        common: dict[str, Json] = {
            **self.ballot.to_json(),
            "arms": list(self.arms),
            "items": self.items,
            "left_out": self.left_out,
            "answers": self.answers,
            "answers_ever": self.ever,
        }
        if self.ballot.kind == "keep":
            raters: list[Json] = [{"rater": name, "answered": answered, "kept": of} for name, answered, of in self.keeps]
            return {**common, "kept": [{"arm": name, **_interval("share", found)} for name, found in self.kept], "raters": raters}
        return {
            **common,
            "shares": [_share_json(one) for one in self.shares],
            "strengths": [_strengths_json(question, found) for question, found in self.strengths],
            "steady": None if self.steady is None else _interval("share", self.steady),
            "raters": [cast(Json, dict(vars(one))) for one in self.raters],
        }


def results(votes: Votes) -> Results:
    """Return what a study's votes come to.

    Raises:
        BadInput: there is no vote yet.
    """
    current, pictures, items, ballot = votes.current(), votes.pictures(), votes.items(), votes.ballot
    if not current:
        raise BadInput(f"{votes.path} holds no vote yet; germline vote {ballot.kind} opens the page.")
    arms, left_out = cast(list[str], votes.about["arms"]), int(str(votes.about["left_out"]))
    common = (ballot, tuple(arms), len(items), left_out, len(current), votes.ever(), tuple(steadiness(current)))
    if ballot.kind == "keep":
        return Results(*common, None, kept=tuple(kept(current, pictures, items).items()), keeps=_keeps(current))
    answers = judged(sorted(current, key=lambda vote: vote.item), pictures, items)  # so that who voted first orders nothing
    by_question = {question: [one for one in answers if one.question == question] for question in ballot.questions}
    met = {name for one in answers for name in (one.arm, one.against)}
    others = {one.against for one in answers}
    over = others.pop() if len(others) == 1 else next(arm for arm in reversed(arms) if arm in met)
    found = tuple((q, _tuple(strengths(of, over))) for q, of in by_question.items() if len(met) > 2 and of)
    return Results(*common, agreement(current, items), tuple(shares(answers)), found)


def _tuple(found: list[Strength] | None) -> tuple[Strength, ...] | None:
    return None if found is None else tuple(found)


def _keeps(votes: Sequence[Vote]) -> tuple[tuple[str, int, int], ...]:
    own = {rater: [vote for vote in votes if vote.rater == rater] for rater in dict.fromkeys(vote.rater for vote in votes)}
    return tuple((rater, len(of), sum(vote.answer == "keep" for vote in of)) for rater, of in own.items())


def tables(found: Results) -> list[tuple[str, Table]]:
    """Return the tables of a study, each with its title."""
    if found.ballot.kind == "keep":
        arms = tuple((name, of_interval(one), count(one.n)) for name, one in found.kept)
        raters = tuple((name, percent(keeps / answered), count(answered)) for name, answered, keeps in found.keeps)
        return [("Kept", Table(("arm", "kept", "votes"), arms)), ("Raters", Table(("rater", "kept", "votes"), raters))]
    out = [(PREFERRED[q], _shares_table([one for one in found.shares if one.question == q])) for q in found.ballot.questions]
    for question, strong in found.strengths:
        if strong is not None:
            out.append((f"{PREFERRED[question]}: Bradley-Terry", _strengths_table(strong)))
    return [*out, ("Raters", _raters_table(found))]


def page(found: Results, title: str) -> Page:
    """Return the page of a study."""
    n = len(found.raters)
    if found.ballot.kind == "keep":
        lead = f"{plural(n, 'rater')} kept or rejected {plural(found.items, 'picture')}, one at a time: {count(found.answers)} answers."
        first = Panel("Kept", WHAT_KEPT, tuple(Bar(name, one.mean, one.low, one.high) for name, one in found.kept), tables(found)[0][1])
        return Page(title, lead, (first, Panel("Raters", "", (), tables(found)[1][1])), _facts(found))
    lead = (
        f"{plural(n, 'rater')} compared two pictures of the same prompt, not knowing where they came from: {plural(found.items, 'pair')},"
        f" {count(found.answers)} answers. 50 % is no difference."
    )
    panels = []
    for question in found.ballot.questions:
        own = [one for one in found.shares if one.question == question]
        bars = tuple(Bar(f"{one.arm} over {one.against}", one.share.mean, one.share.low, one.share.high) for one in own)
        panels.append(
            Panel(
                PREFERRED[question],
                f"\N{LEFT DOUBLE QUOTATION MARK}{ASKED[question]}\N{RIGHT DOUBLE QUOTATION MARK} {WHAT_SHARE}",
                bars,
                _shares_table(own),
                0.5,
            )
        )
    for question, strong in found.strengths:
        name = f"{PREFERRED[question]}: strengths"
        if strong is None:
            panels.append(Panel(name, NO_STRENGTHS, (), None))
        else:
            bars = tuple(Bar(one.arm, one.share, one.share_low, one.share_high) for one in strong[1:])
            panels.append(Panel(name, f"{WHAT_STRENGTH} {strong[0].arm}.", bars, _strengths_table(strong), 0.5))
    said = f"{WHAT_STEADY} Over all: {of_interval(found.steady)} of {plural(found.steady.n, 'repeat')}." if found.steady else WHAT_STEADY
    return Page(title, lead, (*panels, Panel("Raters", said, (), _raters_table(found))), _facts(found))


WHAT_KEPT = "The share of answers that keep, with its 95 % interval, clustered by rater and prompt; none under three of either."
WHAT_SHARE = (
    "Equal and both bad count half in the win share; of the decided answers alone, the last column. 95 % intervals, clustered by rater and"
    " prompt; none under three of either."
)
WHAT_STRENGTH = "Bradley-Terry, all comparisons together: log-odds, and what they mean as a win share over"
WHAT_STEADY = (
    "Some pairs came twice with the sides swapped: same is how often the answer meant the same. Left is the share of decided answers for"
    " the picture on the left; a rater who looks has about 50 %, since sides were random."
)


def percent(value: float | None) -> str:
    """Return a share as text."""
    return "" if value is None else f"{100 * value:.1f} %"


def of_interval(found: Interval | None) -> str:
    """Return a share with its interval, where there is one."""
    if found is None:
        return ""
    return percent(found.mean) + ("" if found.low is None or found.high is None else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]")


def _shares_table(own: Sequence[Share]) -> Table:
    rows = tuple(
        (
            f"{one.arm} over {one.against}",
            of_interval(one.share),
            *map(count, (one.wins, one.losses, one.ties, one.both_bad, one.raters, one.prompts)),
            of_interval(one.decided),
        )
        for one in own
    )
    return Table(("preferred", "win share", "wins", "losses", "equal", "both bad", "raters", "prompts", "of the decided"), rows)


def _strengths_table(strong: Sequence[Strength]) -> Table:
    rows = tuple(
        (
            one.arm,
            _signed(one.strength) + ("" if one.low is None or one.high is None else f" [{_signed(one.low)}, {_signed(one.high)}]"),
            of_interval(Interval(one.share, 0, one.share_low, one.share_high)) if one.arm != one.over else "",
        )
        for one in sorted(strong, key=lambda one: -one.strength)
    )
    return Table(("arm", "strength", f"over {strong[0].over}"), rows)


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _raters_table(found: Results) -> Table:
    rows = tuple(
        (one.rater, count(one.answered), f"{one.same} of {one.repeated}" if one.repeated else "", percent(one.left)) for one in found.raters
    )
    return Table(("rater", "answers", "same on repeats", "left"), rows)


def _facts(found: Results) -> tuple[Facts, ...]:
    ballot = found.ballot
    out = [
        Facts("questions", "; ".join(ASKED[question] for question in ballot.questions)),
        Facts("arms", ", ".join(found.arms)),
        Facts("order and sides", f"drawn from seed {ballot.seed} and the rater's name"),
        Facts(
            "answers", f"{count(found.answers)}, of {count(found.ever)} that were ever given; of a question answered again the last counts"
        ),
    ]
    if ballot.kind == "pairs":
        out.append(Facts("repeats", f"{ballot.repeat:.0%} of a rater's pairs; in no share, only in the raters' records"))
    if found.left_out:
        what = "pairs of equal pictures" if ballot.kind == "pairs" else "pictures that were there twice"
        out.append(Facts("left out", f"{count(found.left_out)} {what}"))
    return (*out, Facts("version", f"germline {version('germline')}"))


def _interval(name: str, found: Interval) -> dict[str, Json]:
    return {name: found.mean, "low": found.low, "high": found.high, "n": found.n}


def _share_json(one: Share) -> dict[str, Json]:
    counts: dict[str, Json] = {
        name: getattr(one, name) for name in ("question", "arm", "against", "wins", "losses", "ties", "both_bad", "raters", "prompts")
    }
    return {**counts, **_interval("share", one.share), "decided": None if one.decided is None else _interval("share", one.decided)}


def _strengths_json(question: str, found: Sequence[Strength] | None) -> dict[str, Json]:
    arms: list[Json] | None = None
    if found is not None:
        names = ("arm", "over", "strength", "low", "high", "share", "share_low", "share_high")
        arms = [{name: getattr(one, name) for name in names} for one in found]
    return {"question": question, "arms": arms}
