"""A first round on the user's own images and votes, by the command, killed and resumed; and latent-space filtering in the next one."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import tiny_scorers as tiny
from germline import registry
from germline.cli import main
from germline.core.pool import GIVEN
from tiny_pipelines import saved

pytest.importorskip("peft", reason="extra: t2i")
KILLED = """
import os, signal, sys
from germline import loop
sample = loop.Loop._sample
def die(self, step, ctx):
    if step.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    sample(self, step, ctx)
loop.Loop._sample = die
from germline.cli import main
sys.exit(main(sys.argv[1:]))
"""


def pictures(folder, n, caption, seed):
    folder.mkdir()
    for i, image in enumerate(np.random.default_rng(seed).integers(0, 255, (n, 32, 32, 3), np.uint8)):
        image[..., 0] //= 1 + 3 * (i % 2)
        Image.fromarray(image).save(folder / f"{i:02d}.png")
        (folder / f"{i:02d}.txt").write_text(caption(i))
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The command, all but --out. Of ten images of the user's six are voted on, by two people, and four of them are kept."""
    here = tmp_path_factory.mktemp("pool")
    photos = pictures(here / "photos", 48, lambda i: f"a photo of kind {i % 2} number {i}", 0)
    mine = pictures(here / "mine", 10, lambda i: f"my own kind {i % 2} number {i}", 1)
    votes = [(0, 1, 1), (2, 1, 0), (3, 0, 0), (5, 1, 1), (6, 0, 0), (9, 0, 1)]
    lines = [f"{i:02d}.png,{who},{score}" for i, *scores in votes for who, score in enumerate(scores)]
    (here / "votes.csv").write_text("\n".join(["file_name,rater,score", *lines]))
    told = [f"a thing of kind {i % 2} number {i}" for i in range(24)]
    pq.write_table(pa.table({"prompt": told, "round": [i // 8 for i in range(24)]}), here / "rounds.parquet")
    prompts = [*told, *(f"a photo of kind {i % 2} number {i}" for i in range(48)), *(f"my own kind {i % 2} number {i}" for i in range(10))]
    pq.write_table(
        pa.table({"prompt": prompts, "group": [f"kind {text.split('kind ')[-1][0]}" for text in prompts]}), here / "groups.parquet"
    )
    clip = tiny.clip_folder(here / "clip")
    flags = [
        "--n",
        "8",
        "--kept",
        "3",
        "--images",
        "8",
        "--batch",
        "4",
        "--steps",
        "2",
        "--learning-rate",
        "1e-3",
        "--beta",
        "0",
        "--sigma2",
        "1",
    ]
    where = ["--pool", str(here / "mine"), "--ratings", str(here / "votes.csv"), "--data", str(photos), "--generations", "2", "--json"]
    probe = ["--choose", "lsf", "--groups", str(here / "groups.parquet"), "--prompts", str(here / "rounds.parquet")]
    model = ["--model", str(saved("sd1", here / "model")), "--scorers", f"clip:{clip}"]
    assert mine.is_dir()
    return here, ["run", "rsidiff", "--preset", "sd14", *model, *flags, *probe, *where]


def test_a_pool_and_votes_replace_the_first_round_and_a_kill_changes_nothing(asked, tmp_path, capsys, monkeypatch):
    here, flags = asked
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *flags, "--out", str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "run" / "gen_001" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "gen_001" / "record.json").exists()
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "4 of 10 images have no rating in" in said
    assert "mine/01.png" in said
    assert main([*flags, "--out", str(tmp_path / "whole")]) == 0
    for name in ("gen_001/record.json", "gen_002/record.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    first = pq.read_table(tmp_path / "run" / "gen_001" / "choice.parquet").to_pandas()
    assert (first["generation"] == GIVEN).all()
    assert first["row"].tolist() == [0, 2, 3, 5, 6, 9]
    assert first["ratings"].tolist() == [1, 0.5, 0, 1, 0, 0.5]
    assert first["condition"].tolist() == [f"my own kind {i % 2} number {i}" for i in (0, 2, 3, 5, 6, 9)]
    assert sorted(first[first["order"] >= 0]["ratings"]) == [0.5, 1, 1], "the best three, none that was rejected"
    assert first["clip"].notna().all()
    assert (first["log_weight"] < 0).all(), "weighed against the base's own samples"
    later = pq.read_table(tmp_path / "run" / "gen_002" / "choice.parquet").to_pandas()
    assert (later["generation"] == 1).all()
    assert "ratings" not in later
    better = later.sort_values("clip", ascending=False).head(4)
    surest = better.sort_values("confidence", ascending=False).head(3)
    assert set(later[later["order"] >= 0]["row"]) == set(surest["row"]), "of the better half the most surely of their own group"
    monkeypatch.chdir(tmp_path)
    opened = registry.open_run(Path("run"))
    training = opened.chain[1].training(opened.data)
    given = np.asarray(Image.open(here / "mine" / f"{training.origin[0, 1]:02d}.png"))
    assert (training.images[[0]][0] == given).all()
    capsys.readouterr()
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "the given pool" in page
    for title in ("Distance to the base", "Mean weight", "Contrast", "Colourfulness", "Twins"):
        assert title in page, title


def test_held_out_scorers_and_votes_are_measured_afterwards(asked, tmp_path, capsys, monkeypatch):
    _, flags = asked
    own = ["--generations", "1", "--choose", "preference", "--out", str(tmp_path / "run")]
    kept = [
        flag for flag in flags if flag not in ("--pool", "--ratings", flags[flags.index("--pool") + 1], flags[flags.index("--ratings") + 1])
    ]
    (tmp_path / "darkness.py").write_text("def dark(images, conditions):\n    return -images.mean(axis=(1, 2, 3))\n")
    monkeypatch.chdir(tmp_path)
    assert main([*kept, *own, "--stop-on", "hacked"]) == 1
    assert "looks at a scorer that chose nothing, and there is none: name one with --held-out" in " ".join(capsys.readouterr().err.split())
    at_random = ["random" if flag == "preference" else flag for flag in own]
    assert main([*kept, *at_random, "--stop-on", "hacked"]) == 1
    assert "here none chooses, so none can be pleased. Leave it out" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run" / "gen_000").exists()
    assert main([*kept, *own, "--held-out", "darkness:dark", "--stop-on", "hacked"]) == 0
    values = [json.loads(line)["values"] for line in capsys.readouterr().out.splitlines() if line.startswith("{")][-1]
    names = {(value["name"], value.get("extractor")) for value in values}
    assert {("rank_correlation", "clip with dark"), ("alignment", "clip"), ("mean_score", "dark"), ("colourfulness", None)} <= names
    (tmp_path / "votes.csv").write_text("row,generation,score\n" + "".join(f"{row},1,{row % 2}\n" for row in range(8)))
    assert main(["measure", "run", "--votes", "votes.csv", "--json"]) == 0
    last = json.loads(capsys.readouterr().out)["generations"][1]
    (voted,) = [value for value in last if value["name"] == "votes_kept"]
    assert (voted["value"], voted["n"]) == (0.5, 8)
    assert any(value["name"] == "vote_auc" and value["extractor"] == "clip" for value in last)


def test_another_pool_is_another_run_and_mistakes_are_told_before_anything_is_made(asked, tmp_path, capsys):
    here, flags = asked
    worse = [*flags, "--rated-from", "2", "--out", str(tmp_path / "none")]
    assert main(worse) == 1
    assert "no image of" in (said := capsys.readouterr().err)
    assert "is rated 2 or more, the best 1; lower --rated-from" in " ".join(said.split())
    without = [flag for flag in flags if flag not in ("--pool", str(here / "mine"))]
    with pytest.raises(SystemExit):
        main([*without, "--out", str(tmp_path / "none")])
    assert "give it too" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
