"""A whole study of 8 raters and 150 pairs through decks, sides, repeats, database and report, with a preference that was planted."""

import numpy as np
import pytest
from voting import arm

from germline.studio.ballot import APPEAL, FAITHFUL, Ballot, couples
from germline.studio.desk import opened
from germline.studio.results import page, results, tables

PLANTED = {APPEAL: 0.772, FAITHFUL: 0.5}  # of the tuned arm over the base; the second question finds no difference
RATERS, PAIRS, TIES = 8, 150, 0.1


def test_the_planted_preference_is_within_the_interval(tmp_path):
    arms = [arm("tuned", PAIRS, 0), arm("base", PAIRS, 1)]
    desk = opened(tmp_path / "v.db", Ballot("pairs", (APPEAL, FAITHFUL), seed=1, repeat=0.1), arms, couples(arms))
    desk.votes._db.execute("PRAGMA synchronous = OFF")  # 2,640 answers, of which no kill is to be outlived here
    desk.votes._db.execute("PRAGMA journal_mode = MEMORY")
    rng = np.random.default_rng(11)
    leaning = rng.uniform(-0.08, 0.08, RATERS)[:, None] + rng.uniform(-0.12, 0.12, PAIRS)  # raters differ, and so do prompts
    steady = 0.9  # of the repeats, the share that is answered as before
    for rater in range(RATERS):
        meant = {}
        for place, one in enumerate(desk.deck(f"rater {rater}")):
            for question, planted in PLANTED.items():
                if not one.again or rng.random() > steady:
                    tuned = bool(rng.random() < planted + leaning[rater, one.item])
                    meant[one.item, question] = None if rng.random() < TIES else tuned
                said = meant[one.item, question]
                answer = "tie" if said is None else "left" if said != one.mirrored else "right"
                desk.vote(f"rater {rater}", place, question, answer)
    found = results(desk.votes)
    assert found.answers == found.ever == RATERS * (PAIRS + 15) * 2
    expected = {question: (1 - TIES) * planted + TIES / 2 for question, planted in PLANTED.items()}  # ties are half a win
    for share in found.shares:
        assert (share.arm, share.against, share.raters, share.prompts, share.share.n) == ("tuned", "base", RATERS, PAIRS, RATERS * PAIRS)
        assert share.share.low <= expected[share.question] <= share.share.high
        assert share.decided.low <= PLANTED[share.question] <= share.decided.high
        assert share.ties == pytest.approx(TIES * RATERS * PAIRS, abs=4 * np.sqrt(RATERS * PAIRS * TIES * (1 - TIES)))
        assert (share.share.low > 0.5) == (share.question == APPEAL), "a preference where there is one, and only there"
    assert found.strengths == (), "two arms need no model"
    # steady on 0.9 of the repeats, and on some of the others by chance: between 0.9 and 1
    assert 0.9 <= found.steady.mean <= 1
    assert found.steady.n == RATERS * 15 * 2
    for rater in found.raters:
        assert rater.repeated == 30
        assert abs(rater.left - 0.5) < 4 * 0.5 / np.sqrt(300), "sides were random, and nobody preferred one"
    assert [title for title, _ in tables(found)] == ["Visual appeal", "Faithfulness to the text", "Raters"]
    assert page(found, "t").panels[0].bars[0].share == found.shares[0].share.mean


@pytest.mark.parametrize(("against", "over"), [(None, "c"), ("b", "b")])
def test_three_arms_are_measured_by_the_last_or_by_the_one_that_all_met(tmp_path, against, over):
    arms = [arm(name, 12, seed) for seed, name in enumerate("abc")]
    desk = opened(tmp_path / "v.db", Ballot("pairs", (APPEAL,)), arms, couples(arms, against=against))
    desk.votes._db.execute("PRAGMA synchronous = OFF")
    entries, rng = desk.votes.pictures(), np.random.default_rng(0)
    chance = {"a": 0.8, "b": 0.5, "c": 0.2}
    for rater in ("zoe", "ada", "ben", "cy"):
        for place, one in enumerate(desk.deck(rater)):
            first, second = (chance[entries[number].arm] for number in desk.items[one.item].pictures)
            desk.vote(rater, place, APPEAL, "left" if (rng.random() < 0.5 + (first - second) / 2) != one.mirrored else "right")
    found = results(desk.votes)
    met = [(share.arm, share.against) for share in found.shares]
    assert met == ([("a", "b"), ("c", "b")] if against else [("a", "b"), ("a", "c"), ("b", "c")]), "in the study's order"
    ((question, strong),) = found.strengths
    assert (question, strong[0].arm, strong[0].strength) == (APPEAL, over, 0)
    best = max(strong, key=lambda one: one.strength)
    assert best.arm == "a"
    assert best.low < best.strength < best.high
    assert len(tables(found)) == 3
