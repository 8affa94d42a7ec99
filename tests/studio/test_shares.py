"""What votes come to: closed forms, simulated studies with a planted preference, and how often the interval holds it."""

import math

import numpy as np
import pytest
from scipy.special import logit, stdtrit

from germline.core.two_way import over_two_ways
from germline.studio.bradley_terry import strengths
from germline.studio.shares import Judged, agreement, judged, kept, share_of, shares, steadiness
from germline.studio.votes import Entry, Put, Vote

PICTURES = [Entry(0, "a", "0", "x"), Entry(1, "b", "0", "y")]


def vote(rater, item, answer, mirrored=False, again=False, question="appeal"):
    return Vote(rater, item, again, mirrored, question, answer, "2026-01-01T00:00:00+00:00")


def answer(rater, prompt, arm, against, won):
    return Judged(rater, prompt, "appeal", arm, against, "tie" if won == 0.5 else "left", won)


def test_a_win_is_the_arms_whatever_side_it_stood_on():
    items = [Put(0, "p", (0, 1))]
    given = [("left", False, 1), ("right", False, 0), ("left", True, 0), ("right", True, 1), ("tie", True, 0.5), ("bad", False, 0.5)]
    found = judged([vote(f"r{i}", 0, what, mirrored) for i, (what, mirrored, _) in enumerate(given)], PICTURES, items)
    assert [one.won for one in found] == [won for *_, won in given]
    (share,) = shares(found)
    assert (share.arm, share.against, share.wins, share.losses, share.ties, share.both_bad) == ("a", "b", 2, 2, 1, 1)
    assert (share.share.mean, share.decided.mean, share.raters, share.prompts) == (0.5, 0.5, 6, 1)
    assert share.share.low is None, "one prompt is no sample of prompts"


def test_the_share_and_its_interval_in_closed_form():
    """A latin square: every rater wins two of three prompts, every prompt two of three raters, so all cluster sums are equal."""
    raters, prompts = np.repeat(["r", "s", "t"], 3), np.tile(["p", "q", "u"], 3)
    won = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0]
    found = share_of(won, raters, prompts)
    assert found.mean == pytest.approx(2 / 3)
    # no variance between raters or prompts, and that of the single answers would be taken off: nothing is left
    assert (found.low, found.high) == pytest.approx((2 / 3, 2 / 3))
    # one answer a rater and prompt: the t-interval of n independent answers, cut to 1
    n = 12
    names, alone = [str(i) for i in range(n)], np.array([1.0] * 9 + [0.0] * 3)
    half = stdtrit(n - 1, 0.975) * alone.std(ddof=1) / math.sqrt(n)
    found = share_of(alone, names, names)
    assert (found.mean, found.low, found.high) == pytest.approx((0.75, 0.75 - half, min(1, 0.75 + half)))
    assert found.high == 1


def test_answers_that_are_all_equal_have_an_interval_still():
    names = [str(i) for i in range(8)]
    raters, prompts = np.repeat(names, 20), np.tile([str(i) for i in range(20)], 8)
    assert over_two_ways([1.0] * 160, raters, prompts).low == 1, "the spread of equal answers is none"
    unseen = 1 - 0.025 ** (1 / 8)
    for value in (1.0, 0.0, 0.5):
        found = share_of([value] * 160, raters, prompts)
        assert (found.mean, found.low, found.high) == pytest.approx((value, value * (1 - unseen), value * (1 - unseen) + unseen))
    assert share_of([1.0] * 4, ["a", "b"] * 2, ["p", "q", "r", "s"]).low is None


def test_repeats_tell_how_steady_a_rater_is_and_enter_no_share():
    items = [Put(i, f"p{i}", (0, 1)) for i in range(4)]
    first = [vote("ada", i, what) for i, what in enumerate(("left", "left", "tie", "bad"))]
    # sides are swapped: the same picture, the other picture, the same tie, a tie for both bad
    second = [vote("ada", i, what, mirrored=True, again=True) for i, what in enumerate(("right", "left", "tie", "tie"))]
    (ada,) = steadiness(first + second)
    assert (ada.answered, ada.repeated, ada.same) == (8, 4, 2)
    assert ada.left == 3 / 4
    assert agreement(first + second, items).mean == 0.5
    assert judged(first + second, PICTURES, items) == judged(first, PICTURES, items)
    assert agreement(first, items) is None


def test_kept_shares_of_each_arm_and_of_all():
    items = [Put(i, "", (i % 2,)) for i in range(4)]
    votes = [vote(r, i, "keep" if i < 2 or r == "a" else "reject", question="kept") for r in "abc" for i in range(4)]
    found = kept(votes, PICTURES, items)
    assert {name: one.mean for name, one in found.items()} == pytest.approx({"a": 4 / 6, "b": 4 / 6, "all": 8 / 12})
    assert found["all"].low is not None, "pictures without prompts are clusters of their own"
    assert found["a"].low is None


def test_strengths_of_two_arms_are_the_log_odds_of_the_share():
    rng = np.random.default_rng(0)
    won = rng.choice([0.0, 0.5, 1.0], 60, p=[0.2, 0.2, 0.6])
    names = [str(i) for i in range(60)]
    base, arm = strengths([answer(name, name, "a", "b", w) for name, w in zip(names, won, strict=True)], "b")
    share = won.mean()
    assert (base.arm, base.strength, base.low) == ("b", 0, None)
    assert arm.strength == pytest.approx(logit(share), abs=1e-6)
    # each answer a cluster: the sandwich is n / (n - 1) sum (y - p)^2 / (n p (1 - p))^2
    error = math.sqrt(60 / 59 * ((won - share) ** 2).sum()) / (60 * share * (1 - share))
    assert arm.high - arm.strength == pytest.approx(stdtrit(59, 0.975) * error, rel=1e-4)
    assert (arm.share, arm.share_low < arm.share < arm.share_high) == (pytest.approx(share), True)


def test_strengths_of_exact_odds_are_found_exactly():
    """Shares that obey the model to the last digit: s = 0, log 2, log 6."""
    worth = {"a": 1, "b": 2, "c": 6}
    answers = []
    for one, other in (("b", "a"), ("c", "a"), ("c", "b")):
        n = 84
        wins = n * worth[one] / (worth[one] + worth[other])
        answers += [answer(str(i % 7), str(i % 6), one, other, 1.0 if i < wins - 1e-9 else 0.0) for i in range(n)]
    found = {one.arm: one.strength for one in strengths(answers, "a")}
    assert found == pytest.approx({"a": 0, "b": math.log(2), "c": math.log(6)}, abs=1e-5)


def test_no_strengths_where_one_arm_never_loses():
    some = [answer(str(i % 4), str(i), "a", "b", i % 2) for i in range(20)]
    unbeaten = [answer(str(i % 4), str(i), "c", "a", 1.0) for i in range(20)]
    assert strengths(some + unbeaten, "a") is None
    once = [answer("0", "0", "c", "a", 0.0)]
    assert strengths(some + unbeaten + once, "a") is not None
    ties = [answer(str(i % 4), str(i), *pair, 0.5) for i in range(20) for pair in (("a", "b"), ("b", "c"), ("a", "c"))]
    assert [(one.strength, one.low) for one in strengths(ties, "c")] == [(0, None)] * 3


def study(seed, planted, raters=8, pairs=150, between_raters=0.4, between_prompts=0.6):
    """Answers of raters and prompts that differ: logits of two arms' preference, spread over both, with the mean share as planted."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, between_raters, (raters, 1)) + rng.normal(0, between_prompts, (1, pairs))
    middle = _middle(planted, math.hypot(between_raters, between_prompts))
    won = rng.random((raters, pairs)) < 1 / (1 + np.exp(-(middle + z)))
    return [answer(f"r{r}", f"p{p}", "tuned", "base", float(won[r, p])) for r in range(raters) for p in range(pairs)]


def _middle(planted, spread):
    """Return the logit whose share, over a normal spread, is the planted one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    low, high = -6.0, 6.0
    for _ in range(60):
        middle = (low + high) / 2
        share = (weights / (1 + np.exp(-(middle + spread * nodes)))).sum() / weights.sum()
        low, high = (middle, high) if share < planted else (low, middle)
    return middle


@pytest.mark.parametrize("planted", [0.5, 0.598, 0.69, 0.772])
def test_a_study_of_8_raters_and_150_pairs_recovers_a_planted_preference(planted):
    (found,) = shares(study(3, planted))
    assert found.share.n == 1200
    assert found.share.low <= planted <= found.share.high
    assert (found.share.low > 0.5) == (planted >= 0.69), "and tells a preference from none, if it is large enough for 8 raters who differ"


@pytest.mark.slow
def test_the_interval_holds_the_planted_preference_about_as_often_as_it_says():
    """Of 300 simulated studies; benchmarks/votes.py has more of them, and what a plain interval would hold."""
    for planted in (0.5, 0.69):
        held = [share.share.low <= planted <= share.share.high for seed in range(300) for share in shares(study(seed, planted))]
        assert 0.91 <= np.mean(held) <= 0.99


@pytest.mark.slow
def test_strengths_hold_what_was_planted():
    """Three arms, the same raters and prompts; no spread between them, so that the model is true."""
    truth = {"a": 0.0, "b": 0.4, "c": 1.0}
    held = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        answers = [
            answer(f"r{r}", f"p{p}", one, other, float(rng.random() < 1 / (1 + math.exp(truth[other] - truth[one]))))
            for r in range(8)
            for p in range(40)
            for one, other in (("b", "a"), ("c", "a"), ("c", "b"))
        ]
        held += [one.low <= truth[one.arm] <= one.high for one in strengths(answers, "a")[1:]]
    assert 0.92 <= np.mean(held) <= 1
