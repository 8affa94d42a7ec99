"""germline vote: what it reads, what it says, and that votes drive a selection."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from voting import painted

from conftest import gaussian_recipe
from germline.cli import main
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.loop import Loop
from germline.scorers import Ratings
from germline.selectors import Preference
from germline.studio.ballot import APPEAL, FAITHFUL, KEPT, Arm, Ballot, Picture, couples, singles
from germline.studio.desk import opened
from germline.studio.votes import Votes
from germline.verbs.arms import arm_of


@pytest.fixture
def folders(tmp_path):
    """Two folders of eight captioned pictures, and one without captions."""
    for seed, name in enumerate(("base", "tuned", "plain")):
        (tmp_path / name).mkdir()
        for i, image in enumerate(painted(8, seed)):
            Image.fromarray(image).save(tmp_path / name / f"{i}.png")
            if name != "plain":
                (tmp_path / name / f"{i}.txt").write_text(f"a thing, number {i}")
    return tmp_path


def heeding_interrupts():
    """What is started in the background of a shell inherits that interrupts are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def started(*words):
    """A process of the command; its address when it serves."""
    command = [sys.executable, "-m", "germline", "vote", *map(str, words), "--port", "0", "--no-browser", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=heeding_interrupts, **pipes) as process:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        try:
            yield process, json.loads(line)["url"].rstrip("/")
        finally:
            process.kill()


def ask(url, path, vote=None):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"Origin": url, "Content-Type": "application/json"} if vote else {}
    connection.request("POST" if vote else "GET", path, json.dumps(vote) if vote else None, headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return json.loads(answer.read())


def test_votes_outlive_a_kill_of_the_command(folders):
    words = ("pairs", folders / "base", folders / "tuned", "--out", folders / "v.db")
    with started(*words) as (process, url):
        for place in range(5):
            for question in ("appeal", "faithfulness"):
                ask(url, "/vote", {"rater": "Ada", "place": place, "question": question, "answer": "left"})
        before = ask(url, "/deck?rater=ada")
        process.kill()
    with started(*words) as (process, url):
        after = ask(url, "/deck?rater=ada")
        assert after == before
        assert sum(len(showing["answers"]) for showing in after["showings"]) == 10
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert "Nothing is lost: run the same command to go on" in process.stderr.read()


def voted(desk, keeps, raters=("ada", "ben", "cy")):
    """Every rater keeps what ``keeps`` says of a picture's name."""
    names = {entry.number: entry.name for entry in desk.votes.pictures()}
    for rater in raters:
        for place, one in enumerate(desk.deck(rater)):
            desk.vote(rater, place, KEPT, "keep" if keeps(names[desk.items[one.item].pictures[0]]) else "reject")


def test_kept_images_of_a_run_are_what_the_next_generation_is_trained_on(tmp_path, tiny, capsys):
    """Generation 0 is voted on; a run with the same generation 0 chooses by the ratings."""
    list(Loop.at(tmp_path / "first", gaussian_recipe(20), tiny).run(0))
    arm = arm_of(str(tmp_path / "first"))
    assert (arm.name, len(arm.pictures)) == ("first-000", 20)
    wanted = {3, 4, 9, 17}
    voted(opened(tmp_path / "kept.db", Ballot("keep", (KEPT,)), [arm], singles([arm])), lambda name: int(name.split()[1]) in wanted)
    assert main(["vote", "export", str(tmp_path / "kept.db"), "--out", str(tmp_path / "ratings.parquet")]) == 0
    said = capsys.readouterr().out
    assert "20 ratings.\nAs a scorer: ratings:" in said
    assert "vote on each round's anew" in said
    scorer = Ratings(tmp_path / "ratings.parquet", by="image")
    recipe = gaussian_recipe(20, scorers=(scorer,), selector=Preference(4, by=("ratings",), cap=None))
    *_, last = Loop.at(tmp_path / "second", recipe, tiny).run(1)
    assert {row for _, row in last.training(tiny).origin.tolist()} == wanted
    scores = last.training(tiny).columns["ratings"]
    np.testing.assert_array_equal(scores, np.ones(4))


def test_kept_pictures_of_a_folder_are_what_select_takes(folders, capsys):
    arm = arm_of(str(folders / "plain"))
    desk = opened(folders / "kept.db", Ballot("keep", (KEPT,)), [arm], singles([arm]))
    voted(desk, lambda name: name in ("2.png", "5.png", "6.png"))
    assert main(["vote", "export", str(folders / "kept.db"), "--out", str(folders / "r.parquet")]) == 0
    words = ["select", "--pool", str(folders / "plain"), "--n", "3", "--by", "top", "--out", str(folders / "chosen")]
    assert main([*words, "--score", f"ratings:{folders / 'r.parquet'},by=image", "--cache", str(folders / "cache")]) == 0
    assert sorted(pq.read_table(folders / "chosen" / "chosen.parquet")["id"].to_pylist()) == ["2.png", "5.png", "6.png"]


def test_a_rating_is_the_mean_of_raters_then_of_prompts(tmp_path):
    image = painted(2, 5)
    arm = Arm("a", (Picture("0", "cat", lambda: image[0]), Picture("1", "dog", lambda: image[0]), Picture("2", "cat", lambda: image[1])))
    desk = opened(tmp_path / "v.db", Ballot("keep", (KEPT,)), [arm], singles([arm]))
    said = {("ada", "0"): "keep", ("ben", "0"): "reject", ("ada", "1"): "keep", ("ada", "2"): "reject"}
    names = {entry.number: entry.name for entry in desk.votes.pictures()}
    for rater in ("ada", "ben"):
        for place, one in enumerate(desk.deck(rater)):
            if answer := said.get((rater, names[desk.items[one.item].pictures[0]])):
                desk.vote(rater, place, KEPT, "reject" if answer == "keep" else "keep")
                desk.vote(rater, place, KEPT, answer)
    assert main(["vote", "export", str(tmp_path / "v.db"), "--out", str(tmp_path / "r.parquet")]) == 0
    # of the first image: (1 + 0) / 2 under cat, 1 under dog
    pool = Pool.of(image)
    np.testing.assert_array_equal(Ratings(tmp_path / "r.parquet", by="image")(pool, Context(1, 0, None)), [0.75, 0.0])
    rows = {row["score"]: row for row in pq.read_table(tmp_path / "r.parquet").to_pylist()}
    assert (rows[0.75]["raters"], rows[0.75]["prompts"], rows[0.0]["name"]) == (2, 2, "2")


def test_a_study_of_pairs_is_reported_and_exported(folders, capsys):
    words = ["vote", "pairs", str(folders / "base"), str(folders / "tuned"), "--out", str(folders / "v.db"), "--json"]
    assert main([*words, "--dry-run"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["items"], plan["a_rater"], plan["again"], plan["keys_a_rater"], plan["there"]) == (8, 9, 1, 18, False)
    assert not (folders / "v.db").exists()
    with pytest.raises(BadInput, match=r"There is no .*v.db"):
        Votes(folders / "v.db")
    arms = [arm_of(str(folders / name)) for name in ("base", "tuned")]
    desk = opened(folders / "v.db", Ballot("pairs", (APPEAL, FAITHFUL), repeat=0.1), arms, couples(arms))
    assert main(["vote", "report", str(folders / "v.db")]) == 1
    assert "holds no vote yet" in capsys.readouterr().err
    for rater in ("ada", "ben", "<b>cy</b>"):
        for place, one in enumerate(desk.deck(rater)):  # the tuned one looks better, whatever the side; the text is a tie
            desk.vote(rater, place, APPEAL, "left" if one.mirrored else "right")
            desk.vote(rater, place, FAITHFUL, "tie")
    assert main(["vote", "report", str(folders / "v.db"), "--json", "--out", str(folders / "v.html")]) == 0
    found = json.loads(capsys.readouterr().out)
    appeal, text = found["shares"]
    assert (appeal["arm"], appeal["against"], appeal["share"], appeal["losses"], appeal["n"]) == ("base", "tuned", 0.0, 24, 24)
    assert appeal["high"] == pytest.approx(1 - 0.025 ** (1 / 3))
    assert (text["share"], text["ties"], text["decided"]) == (0.5, 24, None)
    assert found["strengths"] == []
    assert found["steady"]["share"] == 1.0
    assert [rater["rater"] for rater in found["raters"]] == ["ada", "ben", "<b>cy</b>"]
    page = (folders / "v.html").read_text()
    assert "Votes on base, tuned" in page
    assert "&lt;b&gt;cy" in page
    assert "<b>cy" not in page
    assert "http" not in re.sub(r"http-equiv", "", page), "nothing is fetched"
    assert main(["vote", "report", str(folders / "v.db")]) == 0
    assert "base over tuned" in capsys.readouterr().out
    assert main(["vote", "export", str(folders / "v.db"), "--out", str(folders / "all.parquet"), "--json"]) == 0
    rows = pq.read_table(folders / "all.parquet").to_pylist()
    assert len(rows) == 54
    for row in rows:
        assert {row["left_arm"], row["right_arm"]} == {"base", "tuned"}
        assert row["question"] != APPEAL or row[f"{row['answer']}_arm"] == "tuned"


def test_what_is_voted_on_is_found_and_named(folders, finished, capsys):
    run = finished.chain.path
    assert arm_of(str(run)).name == "run-002"
    assert arm_of(str(run), 1).name == arm_of(str(run / "gen_001")).name == "run-001"
    np.testing.assert_array_equal(arm_of(str(run), 1).pictures[7].read(), finished.chain[1].samples.images[[7]][0])
    assert [picture.prompt for picture in arm_of(str(folders / "base")).pictures][:2] == ["a thing, number 0", "a thing, number 1"]
    for source, generation, says in (
        (str(run), 3, "has generations 0 to 2, and no 3"),
        (str(folders / "base"), 1, "--generation goes with runs"),
        (str(run.parent), None, "holds runs; name one of them"),
    ):
        with pytest.raises(BadInput, match=says):
            arm_of(source, generation)
    assert main(["vote", "pairs", str(folders / "base"), str(folders / "base"), "--dry-run"]) == 1
    assert "Two arms have the name base; rename a folder" in capsys.readouterr().err
    assert main(["vote", "pairs", str(folders / "plain"), str(folders / "base"), "--dry-run"]) == 1
    assert "plain: 0.png has no prompt, but other pictures have one" in capsys.readouterr().err
    arm = arm_of(str(folders / "plain"))
    opened(folders / "v.db", Ballot("keep", (KEPT,)), [arm], singles([arm]))
    assert main(["vote", "keep", str(folders / "plain"), "--out", str(folders / "v.db"), "--seed", "1", "--no-browser"]) == 1
    assert "v.db holds a study with another seed" in capsys.readouterr().err
    assert main(["vote", "export", str(folders / "v.db"), "--out", "x.csv"]) == 1
    assert "--out must end in .parquet, but is x.csv" in capsys.readouterr().err
