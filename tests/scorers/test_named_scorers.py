"""The grammar of scorers, what a scorer is known by, and the verb that serves one."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from functools import partial

import numpy as np
import pytest

import tiny_scorers as tiny
from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.scorers import HPS, Aesthetic, ClipScore, Function, Http, ImageReward, PickScore, Ratings
from germline.scorers.identity import identity
from germline.scorers.named import scorer

POOL = Pool.of(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8), np.array(["a cat", "a dog", "a photo"]))
CTX = Context(1, 0, None)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The five, each in a folder of its own, sizes beside the weights."""
    return tiny.five(tmp_path_factory.mktemp("rewards"))


def test_names_of_the_five(root):
    kinds = {"aesthetic_v2": Aesthetic, "clip": ClipScore, "hps_v2.1": HPS, "imagereward": ImageReward, "pickscore": PickScore}
    for name, kind in kinds.items():
        found = scorer(f"{name}:{root / name}")
        assert isinstance(found, kind)
        assert found.name == name
        np.testing.assert_array_equal(found(POOL, CTX), tiny.MADE[name](root / f"{name} again")(POOL, CTX))
    assert scorer(f"hps_v2.1:{root / 'hps_v2.1'}").sizes == tiny.HPS_SIZES
    by_file = scorer(f"hps_v2.1:{root / 'hps_v2.1' / 'HPS_v2.1_compressed.pt'}")
    assert digest.of_part(by_file) == digest.of_part(scorer(f"hps_v2.1:{root / 'hps_v2.1'}"))
    shutil.copyfile(by_file.weights, root / "hps_v2.1" / "HPS_v2_compressed.pt")
    assert scorer(f"hps_v2:{root / 'hps_v2.1'}").name == "hps_v2"
    for asked, named in (("v2", "v2.1"), ("v2.1", "v2")):
        with pytest.raises(
            BadInput, match=rf"HPS_{named}_compressed\S* is called a file of {named}, but is given for {asked}.* hps_{named}"
        ):
            scorer(f"hps_{asked}:{root / 'hps_v2.1' / f'HPS_{named}_compressed.pt'}")


def test_fields_follow_after_commas(root, tmp_path):
    found = scorer(
        f"hps_v2.1:{root / 'hps_v2.1'},resize=legacy,precision=bf16,template=a photo of a {{class}}, nice,tokenizer={root / 'clip'}"
    )
    assert (found.resize, found.precision, found.tokenizer) == ("legacy", "bf16", root / "clip")
    assert found.template == "a photo of a {class}, nice"
    (tmp_path / "votes, all.csv").write_text("row,grade\n0,3\n")
    found = scorer(f"ratings:{tmp_path / 'votes, all.csv'},column=grade,missing=-1.5")
    assert found == Ratings(tmp_path / "votes, all.csv", column="grade", missing=-1.5)
    assert scorer("http://127.0.0.1:8000/x?a=b,name=hpsv3,batch=4") == Http("http://127.0.0.1:8000/x?a=b", name="hpsv3", batch=4)
    assert scorer("https://example.org/") == Http("https://example.org/")


def test_functions_and_scorers_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "my_scorers.py").write_text(
        "from germline.scorers import Function\n"
        "def bright(images, conditions):\n    return images.mean(axis=(1, 2, 3))\n"
        "ready = Function(bright, 'ready')\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    found = scorer("my_scorers:bright,name=light")
    assert isinstance(found, Function)
    assert found.name == "light"
    np.testing.assert_allclose(found(POOL, CTX), POOL.images[:].mean(axis=(1, 2, 3)))
    assert scorer("my_scorers:ready").name == "ready"
    for name, says in (
        ("my_scorers:gone", "There is no scorer my_scorers:gone .*has no attribute 'gone'"),
        ("no_such_module:f", "There is no scorer no_such_module:f .No module named .* PYTHONPATH"),
        ("my_scorers:number", "my_scorers:number must be a function of images and conditions, but is a int"),
    ):
        with pytest.raises(BadInput, match=says):
            scorer(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hps", "There is no scorer 'hps'. Did you mean hps_v2"),
        ("pikscore:x", "There is no scorer pikscore:x .*. Did you mean pickscore?"),
        ("zzz", r"There are aesthetic_v2, clip, .*each also as NAME:WEIGHTS; http://\.\.\.; Your own is module:function"),
        ("clip:/no/such/folder", "ClipScore: there is no /no/such/folder; give the path of the weights"),
        ("ratings:", "Ratings: .*cannot be read|no known kind"),
        ("http://127.0.0.1/,retries=many", "Http: retries takes a number, but got 'many'"),
        ("http://127.0.0.1/,sizes=3", "Http has no field sizes; it has batch, digest, name, pause, retries, template, timeout"),
        ("http://127.0.0.1/,url=x", "Http has no field url"),
    ],
)
def test_wrong_names_are_told(name, says):
    with pytest.raises(BadInput, match=says):
        scorer(name)(POOL, CTX)


def test_wrong_values_are_told(root):
    with pytest.raises(BadInput, match="HPS: resize is one of antialias, legacy, but got 'old'"):
        scorer(f"hps_v2.1:{root / 'hps_v2.1'},resize=old")
    with pytest.raises(BadInput, match="HPS has no field release"):
        scorer(f"hps_v2.1:{root / 'hps_v2.1'},release=v2")


def test_the_hub_is_asked_when_nothing_is_here(monkeypatch, tmp_path):
    """In a process of its own: huggingface_hub reads its settings once."""
    code = (
        "import sys\nfrom germline.scorers.named import scorer\n"
        "for name in sys.argv[1:]:\n    try: scorer(name)\n    except ValueError as error: print(error)"
    )
    there = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    names = ("clip", "hps_v2.1", "pickscore:someone/else", "imagereward")
    out = subprocess.run([sys.executable, "-c", code, *names], env=there, capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = (
        "ClipScore: 'openai/clip-vit-large-patch14'",
        "HPS: 'xswu/HPSv2'",
        "PickScore: 'someone/else'",
        "ImageReward: 'THUDM/ImageReward'",
    )
    for line, start in zip(out, wanted, strict=True):
        assert line.startswith(f"{start} is neither here nor a repository that the hub gives (")


def test_what_a_scorer_is_known_by(root):
    found = scorer(f"hps_v2.1:{root / 'hps_v2.1'}")
    assert identity(found).to_json() == {
        "name": "hps_v2.1",
        "version": 1,
        "weights": digest.of_file(found.weights),
        "preprocessing": "B, antialias",
    }
    assert identity(dataclasses.replace(found, resize="legacy")).preprocessing == "B, legacy"
    clip = scorer(f"clip:{root / 'clip'}")
    assert (identity(clip).weights, identity(clip).preprocessing) == (digest.of_path(root / "clip"), "A")
    assert identity(Http("http://127.0.0.1:1/", digest="d")).weights == "d"
    assert identity(Aesthetic(root / "clip")) != identity(Aesthetic(root / "clip", head=found.weights))


def test_the_verb_serves_until_it_is_stopped(root):
    command = [sys.executable, "-m", "germline.cli", "serve", f"hps_v2.1:{root / 'hps_v2.1'}", "--port", "0", "--json"]
    # A shell's background jobs, and so what they start, ignore Ctrl-C.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeding) as process:
        try:
            told = json.loads(process.stdout.readline())
            assert told["model"] == "hps_v2.1"
            assert told["url"].startswith("http://127.0.0.1:")
            found = Http(told["url"])(POOL, CTX)
            with urllib.request.urlopen(urllib.request.Request(told["url"], b'{"items": []}'), timeout=60) as answer:
                assert json.loads(answer.read())["digest"] == digest.of_part(scorer(f"hps_v2.1:{root / 'hps_v2.1'}"))
        finally:
            process.send_signal(signal.SIGINT)
            try:
                left = process.wait(60)
            finally:
                process.kill()
        assert left == 130
    np.testing.assert_array_equal(found, scorer(f"hps_v2.1:{root / 'hps_v2.1'}")(POOL, CTX))
