"""Reward scorers and preference sampling in the loop."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import tiny_scorers as tiny
from conftest import gaussian_recipe, gaussian_splits
from germline.core.errors import BadInput
from germline.loop import Loop
from germline.scorers import clip_score, hps
from germline.selectors import Preference


def recipe(root, template="a photo of a {class}", **fields):
    scorers = (tiny.clip_score(root / "clip", template=template), tiny.hps(root / "hps", template=template))
    return gaussian_recipe(20, scorers=scorers, selector=Preference(8, ("clip", "hps_v2.1"), **{"cap": 4, **fields}))


def test_a_run_chooses_by_rewards_and_goes_on_with_the_same_bytes(tmp_path, tiny_data, monkeypatch):
    def run(folder):
        return list(Loop.at(tmp_path / folder / "run", recipe(tmp_path), tiny_data, seed=3).run(2))

    whole = run("one")
    choice = whole[2].choice
    clip, both, order = (choice.column(name).to_numpy() for name in ("clip", "hps_v2.1", "order"))
    assert len(np.unique(clip)) == len(np.unique(both)) == 20
    chosen = np.argsort(order)[-8:]
    ranks = (np.argsort(np.argsort(values)) for values in (clip, both))
    sums = sum(ranks)
    for label in (0, 1):
        here = choice.column("condition").to_numpy() == label
        assert sorted(sums[chosen[here[chosen]]]) == sorted(sums[here])[-4:], "the four best of each class"

    # Killed after half of the scores of generation 2 were kept: the rest is computed, and the record is the same to the byte.
    (tmp_path / "two").mkdir()
    for name in (".cache", "run"):
        shutil.copytree(tmp_path / "one" / name, tmp_path / "two" / name)
    shutil.rmtree(tmp_path / "two" / "run" / "gen_002")
    for kept in (tmp_path / "two" / ".cache").rglob("*.scores.jsonl"):
        lines = kept.read_bytes().splitlines(keepends=True)
        assert len(lines) == 40, "two generations of 20 rows"
        kept.write_bytes(b"".join(lines[:-9]) + lines[-9][:30])
    assert run("two")[2].digest == whole[2].digest

    # A run beside it with the same rows computes nothing.
    for part in (clip_score, hps):
        monkeypatch.setattr(part, "_towers", lambda scorer: pytest.fail("nothing is to be computed"))
    shutil.rmtree(tmp_path / "two" / "run")
    assert run("two")[2].digest == whole[2].digest


@pytest.fixture
def tiny_data():
    return gaussian_splits(20, 4)


def test_a_class_data_set_without_a_template_says_what_to_do(tmp_path, tiny_data):
    loop = Loop.at(tmp_path / "run", recipe(tmp_path, template=None), tiny_data)
    with pytest.raises(BadInput, match=r'ClipScore compares images with prompts.*template="a photo of \{class\}"'):
        list(loop.run(1))


def test_scores_lie_beside_the_runs_readable_by_others(tmp_path, tiny_data):
    list(Loop.at(tmp_path / "run", recipe(tmp_path), tiny_data).run(1))
    (first, *_) = sorted((tmp_path / ".cache").rglob("*.scores.jsonl"))
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    assert {tuple(line) for line in lines} == {("image", "condition", "score", "check")}
    values = {line["score"] for line in lines}
    table = pq.read_table(tmp_path / "run" / "gen_001" / "choice.parquet")
    assert values in [set(table.column(name).to_pylist()) for name in ("clip", "hps_v2.1")]
