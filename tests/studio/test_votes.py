"""What is asked, of whom, in which order; and that votes are only ever added to."""

import sqlite3
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from germline.core.errors import BadInput, Corrupt, GermlineError, RunConflict
from germline.core.scores import pair_of
from germline.studio.ballot import APPEAL, FAITHFUL, KEPT, Arm, Ballot, Picture, Showing, couples, deck, distinct, rater_name, singles
from germline.studio.desk import opened
from germline.studio.votes import Votes

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
PAIRS = Ballot("pairs", (APPEAL, FAITHFUL), repeat=0.2)
KEEP = Ballot("keep", (KEPT,))


def arm(name, prompts, first=0):
    return Arm(name, tuple(Picture(f"{i}.png", text, lambda i=i: IMAGES[first + i]) for i, text in enumerate(prompts)))


def two(n=10):
    prompts = [f"prompt {i}" for i in range(n)]
    return [arm("base", prompts), arm("tuned", prompts, 20)]


def test_pairs_are_of_one_prompt_and_the_kth_meets_the_kth():
    arms = [arm("a", ["cat", "dog", "cat", "cat"]), arm("b", ["cat", "cat", "cow", "dog"], 10), arm("c", ["dog"], 20)]
    found = couples(arms, a_prompt=2)
    assert [(item.prompt, item.places) for item in found] == [
        ("cat", ((0, 0), (1, 0))),
        ("cat", ((0, 2), (1, 1))),
        ("dog", ((0, 1), (1, 3))),
        ("dog", ((0, 1), (2, 0))),
        ("dog", ((1, 3), (2, 0))),
    ]
    assert [item.places for item in couples(arms, against="b")] == [((0, 0), (1, 0)), ((0, 1), (1, 3)), ((2, 0), (1, 3))]
    assert [item.prompt for item in couples(two(9), most=3)] == ["prompt 0", "prompt 4", "prompt 8"]


def test_without_prompts_pictures_of_one_name_meet():
    arms = [arm("a", [""] * 3), arm("b", [""] * 2, 10)]
    assert [(item.prompt, item.places) for item in couples(arms)] == [("0", ((0, 0), (1, 0))), ("1", ((0, 1), (1, 1)))]


@pytest.mark.parametrize(
    ("arms", "how", "says"),
    [
        ([arm("a", ["cat"])], {}, "Pairs need two arms"),
        ([arm("a", ["cat"]), arm("b", ["dog"])], {}, "No prompt is in two of a, b; a prompt of the first is 'cat'"),
        ([arm("a", ["cat"]), arm("b", [""])], {}, "b: 0.png has no prompt, but other pictures have one"),
        (two(), {"against": "best"}, "--against best is none of base, tuned"),
        (two(), {"a_prompt": 0}, "--a-prompt must be at least 1, but is 0"),
        (two(), {"most": 0}, "--most must be at least 1, but is 0"),
    ],
)
def test_pairs_that_cannot_be_made(arms, how, says):
    with pytest.raises(BadInput, match=says):
        couples(arms, **how)


def test_odd_ballots_and_names_are_refused():
    with pytest.raises(BadInput, match="--repeat is the share .* but is 0.7"):
        Ballot("pairs", (APPEAL,), repeat=0.7)
    with pytest.raises(BadInput, match="--a-rater must be at least 1, but is 0"):
        Ballot("pairs", (APPEAL,), a_rater=0)
    with pytest.raises(BadInput, match="Two arms have the name a; rename a folder"):
        distinct([arm("a", ["x"]), arm("a", ["y"])])
    assert rater_name("  Ada\u00a0 LOVELACE ") == "ada lovelace", "who comes back is found again"
    for odd in ("", "  ", "x" * 41, "a\x00b", None, 3):
        with pytest.raises(BadInput, match="A rater's name has 1 to 40 letters"):
            rater_name(odd)


def test_a_deck_is_the_same_for_one_rater_and_another_for_the_next():
    ballot = Ballot("pairs", (APPEAL,), seed=5, repeat=0.2)
    ada = deck(ballot, 150, "ada")
    assert ada == deck.__wrapped__(ballot, 150, "ada")
    assert ada != deck(ballot, 150, "ben")
    assert ada != deck(Ballot("pairs", (APPEAL,), seed=6, repeat=0.2), 150, "ada")
    assert Counter(one.item for one in ada if not one.again) == Counter(range(150))
    again = [place for place, one in enumerate(ada) if one.again]
    assert len(again) == 30
    for place in again:
        first = next(i for i, one in enumerate(ada) if one.item == ada[place].item)
        assert ada[first] == Showing(ada[place].item, False, not ada[place].mirrored), "with the sides swapped"
        assert place - first >= 25, "a sixth of the pairs lies between"
    assert len(deck(Ballot("pairs", (APPEAL,), a_rater=20, repeat=0.1), 150, "ada")) == 22
    assert {one.mirrored for one in deck(KEEP, 50, "ada")} == {False}


def test_sides_are_random_over_raters_and_pairs():
    ballot = Ballot("pairs", (APPEAL,))
    sides = np.array([[one.mirrored for one in sorted(deck(ballot, 200, f"r{r}"), key=lambda one: one.item)] for r in range(50)])
    # 10,000 coins: the share is within 4 standard errors of a half, of every rater within 4 of its own
    assert abs(sides.mean() - 0.5) < 4 * 0.005
    assert np.abs(sides.mean(1) - 0.5).max() < 4 * 0.0354
    assert np.abs(np.corrcoef(sides)[np.triu_indices(50, 1)]).max() < 0.36, "no two raters have one order of sides"


def test_what_is_equal_to_the_pixel_is_left_out(tmp_path):
    arms = [arm("a", ["cat", "dog"]), Arm("b", (arm("b", ["cat"]).pictures[0], arm("b", ["", "dog"], 10).pictures[1]))]
    desk = opened(tmp_path / "v.db", PAIRS, arms, couples(arms))
    assert [put.prompt for put in desk.items] == ["dog"]
    assert desk.votes.about["left_out"] == 1
    twice = [
        Arm(
            "a",
            (
                *arm("a", ["cat", "dog"]).pictures,
                Picture("copy.png", "cat", lambda: IMAGES[0]),
                Picture("other.png", "cow", lambda: IMAGES[0]),
            ),
        )
    ]
    desk = opened(tmp_path / "k.db", KEEP, twice, singles(twice))
    assert sorted(put.prompt for put in desk.items) == ["cat", "cow", "dog"], "an image of another prompt is asked about again"
    same = [arm("a", ["cat"]), arm("b", ["cat"])]
    with pytest.raises(BadInput, match="every pair is of two equal pictures"):
        opened(tmp_path / "no.db", PAIRS, same, couples(same))
    assert not (tmp_path / "no.db").exists()


def test_a_pictures_number_does_not_tell_its_arm(tmp_path):
    arms = two(20)
    desk = opened(tmp_path / "v.db", PAIRS, arms, couples(arms))
    entries = desk.votes.pictures()
    assert [entry.number for entry in entries] == list(range(40))
    names = "".join(entry.arm[0] for entry in entries)
    assert "t" * 12 not in names
    assert "b" * 12 not in names
    for entry in entries:
        at = int(entry.name.split(".")[0]) + 20 * (entry.arm == "tuned")
        assert entry.image == pair_of(IMAGES[at], "")[0]
        np.testing.assert_array_equal(desk.reads[entry.number](), IMAGES[at])


def test_votes_are_added_and_the_last_counts(tmp_path):
    arms = two()
    desk = opened(tmp_path / "v.db", PAIRS, arms, couples(arms))
    for answer in ("left", "right", "bad"):
        desk.vote("ada", 0, APPEAL, answer)
    desk.vote("ada", 0, FAITHFUL, "tie")
    desk.vote("ben", 1, APPEAL, "left")
    assert [(one.rater, one.question, one.answer) for one in desk.votes.current()] == [
        ("ada", APPEAL, "bad"),
        ("ada", FAITHFUL, "tie"),
        ("ben", APPEAL, "left"),
    ]
    assert desk.votes.ever() == 5
    assert desk.votes.raters() == {"ada": 2, "ben": 1}
    assert desk.dealt("ada")["showings"][0]["answers"] == {APPEAL: "bad", FAITHFUL: "tie"}
    assert desk.dealt("ada")["showings"][1]["answers"] == {}
    with sqlite3.connect(tmp_path / "v.db") as db:
        for text in ("UPDATE votes SET answer = 'left'", "DELETE FROM votes", "UPDATE pictures SET image = ''", "DELETE FROM study"):
            with pytest.raises(sqlite3.IntegrityError, match="rows are only ever added"):
                db.execute(text)


def test_odd_votes_are_refused_and_nothing_is_written(tmp_path):
    arms = two()
    desk = opened(tmp_path / "v.db", PAIRS, arms, couples(arms))
    for place, question, answer, says in (
        (12, APPEAL, "left", "places from 0 to 11, but the place is 12"),
        (-1, APPEAL, "left", "the place is -1"),
        (True, APPEAL, "left", "the place is True"),
        ("0", APPEAL, "left", "the place is '0'"),
        (0, KEPT, "left", "The questions are appeal, faithfulness"),
        (0, APPEAL, "keep", "the answers left, right, tie, bad"),
        (0, None, "left", "Question and answer are text"),
    ):
        with pytest.raises(BadInput, match=says):
            desk.vote("ada", place, question, answer)
    assert desk.votes.ever() == 0


def test_the_same_study_goes_on_and_another_is_refused(tmp_path):
    arms, path = two(), tmp_path / "v.db"
    first = opened(path, PAIRS, arms, couples(arms))
    first.vote("ada", 3, APPEAL, "left")
    again = opened(path, PAIRS, arms, couples(arms))
    assert again.votes.raters() == {"ada": 1}
    assert again.deck("ada") == first.deck("ada")
    assert again.key == first.key
    for ballot, of, says in (
        (Ballot("pairs", (APPEAL, FAITHFUL), repeat=0.2, seed=1), couples(arms), "another seed"),
        (Ballot("pairs", (APPEAL,), repeat=0.2), couples(arms), "another questions"),
        (KEEP, singles(arms), "another kind"),
        (PAIRS, couples(arms, most=4), "other pictures, prompts or pairs"),
    ):
        with pytest.raises(RunConflict, match=f"holds a study with {says}.* or another --out"):
            opened(path, ballot, arms, of)


def test_a_picture_that_changed_or_went_is_not_shown(tmp_path):
    images = IMAGES[:2].copy()
    arms = [Arm("a", tuple(Picture(str(i), "", lambda i=i: images[i]) for i in range(2)))]
    desk = opened(tmp_path / "v.db", KEEP, arms, singles(arms))
    where = {entry.name: entry.number for entry in desk.votes.pictures()}
    images[1] ^= 1
    assert desk.png(where["0"])[:4] == b"\x89PNG"
    with pytest.raises(Corrupt, match=f"Picture {where['1']} is no longer the one that the study was made of"):
        desk.png(where["1"])
    with pytest.raises(BadInput, match="Pictures count from 0 to 1, but 2"):
        desk.png(2)

    def gone():
        raise FileNotFoundError(2, "No such file", "0.png")

    desk = opened(tmp_path / "v.db", KEEP, [Arm("a", tuple(Picture(str(i), "", gone) for i in range(2)))], singles(arms))
    with pytest.raises(GermlineError, match="cannot be read any more"):
        desk.png(0)


def test_files_that_are_no_votes(tmp_path):
    with pytest.raises(BadInput, match=r"There is no .*gone.db; germline vote keep"):
        Votes(tmp_path / "gone.db")
    (tmp_path / "text.db").write_text("these are no votes, but some text that is long enough to have a header" * 20)
    with pytest.raises(BadInput, match=r"text.db is no database of votes"):
        Votes(tmp_path / "text.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE votes (a)").connection.commit()
    with pytest.raises(BadInput, match=r"other.db is no database of votes of this version"):
        Votes(tmp_path / "other.db")


WRITER = """
import sys
from pathlib import Path
from germline.studio.ballot import Showing
from germline.studio.votes import Votes
votes = Votes(Path(sys.argv[1]))
for item in range(10_000):
    votes.add("ada", Showing(item % 10), "appeal", ("left", "right")[item % 2])
    print(item, flush=True)
"""


def test_what_was_answered_is_there_after_a_kill_in_the_middle(tmp_path):
    arms, path = two(), tmp_path / "v.db"
    opened(path, PAIRS, arms, couples(arms)).votes.close()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    for _ in range(30):
        last = int(writer.stdout.readline())
    writer.kill()
    last = max([last, *(int(line) for line in writer.stdout.read().split("\n")[:-1] if line)])
    writer.wait()
    votes = Votes(path)
    assert last + 1 <= votes.ever() <= last + 2, "every answer that was told to be on disk, and at most the one that was being written"
    assert votes.add("ada", Showing(0), APPEAL, "bad") == votes.ever()
