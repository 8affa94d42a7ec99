"""Two rounds of RSIDiff by the commands that a user types: prompts judged by an endpoint, five scorers, weights, whole U-Net and LoRA."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from misbehaving import GOOD, completion, serving
from PIL import Image
from safetensors.numpy import load_file

import tiny_scorers as tiny
from germline.cli import main
from tiny_pipelines import saved

SCORERS = tuple(tiny.MADE)
WORDS = ("cat", "clock", "moon", "apple", "robot", "chess")
VAGUE = '{"clarity": 1, "specificity": 1}'


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """What the data flags ask for; RSIDiff trains on none of it."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"a photo of kind {i}")
    return folder


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Three rounds of eight prompts, out of 30 of which an endpoint calls five vague."""
    folder = tmp_path_factory.mktemp("prompts")
    told = [f"a photo of a {word} number {k}" for k in range(5) for word in WORDS]
    (folder / "crawl.txt").write_text("\n".join(told))
    judged, out = folder / "judged.parquet", folder / "rounds.parquet"
    with serving(lambda prompt, times: (200, completion(VAGUE if "robot" in prompt else GOOD))) as (url, _):
        assert main(["prompts", "clean", str(folder / "crawl.txt"), "--out", str(folder / "clean.parquet"), "--json"]) == 0
        flags = ["--by", url, "--model", "tiny", "--out", str(judged), "--json"]
        assert main(["prompts", "judge", str(folder / "clean.parquet"), *flags]) == 0
    assert main(["prompts", "rounds", str(judged), "--rounds", "3", "--size", "8", "--out", str(out), "--json"]) == 0
    assert not any("robot" in prompt for prompt in pq.read_table(out)["prompt"].to_pylist())
    return out


@pytest.mark.parametrize(("kind", "preset", "changed"), [("sd1", "sd14", "unet."), ("sd3", "sd3", "lora.")])
def test_two_rounds_through_every_real_part(kind, preset, changed, photos, rounds, tmp_path, capsys):
    rewards, model, run = tiny.five(tmp_path / "rewards"), saved(kind, tmp_path / kind), tmp_path / "run"
    scorers = [f"{name}:{rewards / name}" for name in SCORERS]
    flags = ["--n", "8", "--kept", "3", "--images", "8", "--batch", "4", "--steps", "2", "--learning-rate", "1e-3"]
    weights = ["--weights", "mse", "--beta", "0", "--sigma2", "1"]
    where = ["--prompts", str(rounds), "--data", str(photos), "--generations", "2", "--out", str(run), "--json"]
    asked = ["run", "rsidiff", "--preset", preset, "--model", str(model), "--scorers", *scorers, *flags, *weights, *where]
    assert main(asked) == 0
    capsys.readouterr()
    table = pq.read_table(rounds).to_pylist()
    for number in (0, 1, 2):
        told = pq.read_table(run / f"gen_00{number}" / "samples.parquet")["condition"].to_pylist()
        assert told == [row["prompt"] for row in table if row["round"] == number]
    for number in (1, 2):
        choice = pq.read_table(run / f"gen_00{number}" / "choice.parquet")
        scores = np.stack([choice[name].to_numpy() for name in SCORERS])
        assert np.isfinite(scores).all()
        assert (np.ptp(scores, axis=1) > 0).all(), "every scorer tells images apart"
        sums = sum(np.argsort(np.argsort(row)) for row in scores)
        chosen = choice["order"].to_numpy() >= 0
        assert sorted(sums[chosen]) == sorted(sums)[-3:], "the three best by the sum of ranks"
        assert (choice["log_weight"].to_numpy() < 0).all()
        assert np.ptp(choice["log_weight"].to_numpy()) > 0, "nearer rows count more"
    models = [load_file(run / f"gen_00{k}" / "model.safetensors") for k in (1, 2)]
    names = [name for name in models[0] if name.startswith(changed)]
    assert names
    assert any((models[0][name] != models[1][name]).any() for name in names), "the second round goes on from the first"
    before = {path: path.read_bytes() for path in run.rglob("record.json")}
    assert main(asked) == 0
    assert {path: path.read_bytes() for path in run.rglob("record.json")} == before
    assert json.loads((run / "gen_002" / "record.json").read_text())["images_seen"] == 8
