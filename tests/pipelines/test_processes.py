"""A whole chain by torchrun: what two processes make is what one makes, after a kill too; an error ends both and is told once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from germline.chain import Chain
from germline.cli import main
from tiny_pipelines import saved

pytestmark = pytest.mark.slow
ROWS, REAL = 48, 8
AS_COMMAND, PATIENCE = ("-m", "germline"), 600
LAUNCHED = """
import os, sys
import germline.loop
import germline.trainers.tune_pipeline as tune
from germline.cli import main
from germline.core.errors import GermlineError
tune.CHECKPOINT_SECONDS, tune.CHECKPOINT_SHARE = 0.0, 1e9
germline.loop.resolve = lambda asked: "fp32"
def failing(*_):
    raise GermlineError("this one has no memory left")
if "fails" in sys.argv[1] and os.environ["RANK"] == sys.argv[1][-1]:
    tune.Tuning.step = failing
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny pipeline, captioned pictures, and a script that leaves a checkpoint after every step."""
    folder = tmp_path_factory.mktemp("place")
    saved("sd1", folder / "sd1")
    rng, lines = np.random.default_rng(0), []
    for i in range(ROWS):
        (folder / "photos").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / "photos" / f"{i:02}.png")
        lines.append(json.dumps({"file_name": f"{i:02}.png", "text": f"a cat of kind {i}"}))
    (folder / "photos" / "metadata.jsonl").write_text("\n".join(lines))
    (folder / "launched.py").write_text(LAUNCHED)
    return folder


def run_of(place, out, *more):
    small = ["--images", "24", "--batch", "4", "--steps", "3", "--real", str(REAL), "--generations", "1"]
    return ["run", "redifine", "--model", str(place / "sd1"), "--data", str(place / "photos"), *small, "--out", str(out), *more]


def torchrun(launched, arguments):
    here = Path(__file__).parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(here / "src")}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, launched), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def workers(launcher):
    """The processes that torchrun started, by rank."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    ranks = {}
    for child in children:
        told = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks |= {int(entry[5:]): int(child) for entry in told if entry.startswith(b"RANK=")}
    return ranks


def killed(place, out, rank, at):
    """Start, kill one process as soon as a file is there, and return what was said."""
    launcher = torchrun([place / "launched.py", "calm"], run_of(place, out))
    while not at.exists():
        assert launcher.poll() is None, launcher.communicate()[0]
        time.sleep(0.002)
    os.kill(workers(launcher)[rank], signal.SIGKILL)
    said = launcher.communicate(timeout=PATIENCE)[0]
    assert launcher.returncode != 0, said
    return said


def test_two_processes_make_the_chain_of_one_though_both_are_killed(place, tmp_path, monkeypatch):
    """In fp32, which the run remembers: in bf16 sums of other lengths round otherwise, and AdamW makes whole steps of small gradients."""
    monkeypatch.setattr("germline.loop.resolve", lambda asked: "fp32")
    assert main(run_of(place, tmp_path / "alone")) == 0
    alone = [generation.arrays() for generation in Chain(tmp_path / "alone").generations()]
    out = tmp_path / "two"
    killed(place, out, 0, out / "gen_000" / "scratch" / "train.safetensors")
    assert not (out / "gen_000" / "model.safetensors").exists()
    killed(place, out, 1, out / "gen_001" / "scratch" / "train.safetensors")
    assert len(Chain(out)) == 1
    launcher = torchrun(AS_COMMAND, run_of(place, out))
    said = launcher.communicate(timeout=PATIENCE)[0]
    assert launcher.returncode == 0, said
    assert said.count("is finished") == 1
    Chain(out).check()
    both = [generation.arrays() for generation in Chain(out).generations()]
    for one, two in zip(alone, both, strict=True):
        assert one.keys() == two.keys()
        assert max(np.abs(one[name] - two[name]).max() for name in one if one[name].dtype == np.float32) < 1e-5
    trained = [max(np.abs(arrays[name]).max() for name in arrays if name.endswith(".up")) for arrays in both]
    assert min(trained) > 1e-4  # far more than the difference
    assert main(run_of(place, out)) == 0  # one process finds it finished


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_process_ends_both_and_is_told_once(rank, place, tmp_path):
    launcher = torchrun([place / "launched.py", f"fails{rank}"], run_of(place, tmp_path / "run"))
    said = launcher.communicate(timeout=PATIENCE)[0]
    assert launcher.returncode != 0
    assert said.count("error: ") == said.count("error: this one has no memory left") == 1, said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--guidance-schedule", "exp"], "below 1"),
        (["--learning-rate", "1e30"], "the loss is"),
        (["--dry-run"], "without torchrun"),
        (["--no-such-flag"], "no-such-flag"),
    ],
    ids=["refused", "no number", "dry run", "flags"],
)
def test_an_error_of_both_is_told_once(arguments, says, place, tmp_path):
    launcher = torchrun(AS_COMMAND, run_of(place, tmp_path / "run", *arguments))
    said = launcher.communicate(timeout=PATIENCE)[0]
    assert launcher.returncode != 0
    assert said.count(says) == 1, said


def test_other_verbs_are_for_one_process(tmp_path):
    launcher = torchrun(AS_COMMAND, ["check", str(tmp_path)])
    said = launcher.communicate(timeout=PATIENCE)[0]
    assert said.count("check is not for several processes") == 1
    assert launcher.returncode != 0
