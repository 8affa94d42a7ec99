"""Scores are computed once, and a damaged file of them loses only time."""

import contextlib
import json
import multiprocessing
from dataclasses import dataclass

import numpy as np
import pytest

import germline.core.scores as core_scores
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool
from germline.core.scores import Scores, pair_of, users_folder
from germline.scorers import Http
from germline.scorers.kept import kept
from germline.scorers.plain import scores

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
PART = Http("http://127.0.0.1:1/", name="some")


class Counting:
    """Scores by brightness and prompt, and counts the batches and rows it is given."""

    def __init__(self, wrong=None):
        self.batches, self.opened, self.wrong = [], 0, wrong

    @contextlib.contextmanager
    def __call__(self):
        self.opened += 1
        yield self.score

    def score(self, images, prompts):
        self.batches.append(len(images))
        scores = images.mean(axis=(1, 2, 3)) + [len(prompt) for prompt in prompts]
        return scores if self.wrong is None else self.wrong(scores)


def run(pool, conditions, cache, of="", wrong=None):
    counting = Counting(wrong)
    return kept(PART, pool, conditions, Context(1, 0, None, cache=cache), counting, 4, of), counting


def test_equal_image_and_condition_are_scored_once_in_full_batches(tmp_path):
    pool, cache = Pool.of(IMAGES).take([0, 1, 2, 0, 1, 5]), Cache(tmp_path)
    expected = pool.images[:].mean(axis=(1, 2, 3)) + 1
    found, counting = run(pool, ["a"] * 6, cache)
    np.testing.assert_array_equal(found, expected)
    assert counting.batches == [4], "four distinct rows of six"
    again, counting = run(pool, ["a"] * 6, Cache(tmp_path))
    np.testing.assert_array_equal(again, expected)
    assert (counting.opened, counting.batches) == (0, []), "a second call computes nothing, and opens no network"
    more, counting = run(Pool.of(IMAGES), ["a"] * 10, cache)
    assert counting.batches == [4, 4], "six new rows, the last batch filled up"
    np.testing.assert_array_equal(more, IMAGES.mean(axis=(1, 2, 3)) + 1)
    other, counting = run(pool, ["bb"] * 6, cache)
    assert counting.batches == [4], "another condition, another score"
    np.testing.assert_array_equal(other, expected + 1)
    assert run(pool, ["a"] * 6, cache, of="another model")[1].batches == [4]
    assert run(pool, ["a"] * 6, Cache(None))[1].batches == [4], "without a folder nothing is kept"


def test_a_torn_or_altered_line_is_made_again(tmp_path):
    cache = Cache(tmp_path)
    expected, _ = run(Pool.of(IMAGES), ["a"] * 10, cache)
    (path,) = tmp_path.rglob("*.scores.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 10
    one = json.loads(lines[3])
    assert one["image"] == pair_of(IMAGES[3], "")[0]
    lines[3] = lines[3].replace(b'"score": ', b'"score": 1')
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:50])
    found, counting = run(Pool.of(IMAGES), ["a"] * 10, cache)
    np.testing.assert_array_equal(found, expected)
    assert counting.batches == [4], "the altered and the torn line"
    assert run(Pool.of(IMAGES), ["a"] * 10, cache)[1].opened == 0, "the line after the torn one is whole"
    path.write_bytes(b"\xff\x00rubbish\n[1]\n{}\n" + path.read_bytes())
    assert run(Pool.of(IMAGES), ["a"] * 10, cache)[1].opened == 0


def append(path, start):
    for number in range(start, start + 50):
        Scores(path).append([((f"{number:064x}", "c"), number / 7)])


def test_processes_append_side_by_side(tmp_path):
    path = tmp_path / "deep" / "scores.jsonl"
    workers = [multiprocessing.get_context("fork").Process(target=append, args=(path, 50 * number)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Scores(path).read() == {(f"{number:064x}", "c"): number / 7 for number in range(100)}, "exact, whoever wrote them"


def test_only_what_is_new_of_a_file_is_parsed(tmp_path, monkeypatch):
    path, parsed = tmp_path / "scores.jsonl", []
    real = core_scores._parsed
    monkeypatch.setattr(core_scores, "_parsed", lambda line: parsed.append(line) or real(line))
    append(path, 0)
    assert len(Scores(path).read()) == 50
    assert len(parsed) == 50
    append(path, 50)
    found = Scores(path).read()
    assert len(found) == 100
    assert len(parsed) == 100
    found.clear()
    assert len(Scores(path).read()) == 100, "what a caller does to its copy stays with it"
    assert len(parsed) == 100


def test_faults_are_named(tmp_path, monkeypatch):
    for wrong, says in (
        (lambda scores: scores[:2], r"Http must return 4 scores, but returned \(2,\)"),
        (lambda scores: np.where(np.arange(4) == 1, np.nan, scores), "Http returned NaN or infinity in row 1"),
    ):
        with pytest.raises(BadInput, match=says):
            run(Pool.of(IMAGES), ["a"] * 10, Cache(tmp_path), wrong=wrong)
    assert not list(tmp_path.rglob("*.jsonl"))
    (tmp_path / "file").write_text("")
    with pytest.raises(GermlineError, match="Cannot write .*scores.jsonl: "):
        Scores(tmp_path / "file" / "scores.jsonl").append({("a", "b"): 1.0})


@dataclass(frozen=True)
class Once:
    """Scores by brightness, and fails when it has to compute."""

    name: str = "once"

    def __call__(self, pool, ctx):
        return kept(self, pool, [ctx.data.classes[label] for label in pool.condition], ctx, COUNTING, 4)


COUNTING = Counting()


def test_images_of_no_run_are_kept_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pool = Pool.of(IMAGES, np.arange(10) % 2)
    found = scores(Once(), pool, ("a", "bb"))
    np.testing.assert_array_equal(found, IMAGES.mean(axis=(1, 2, 3)) + np.arange(10) % 2 + 1)
    assert COUNTING.opened == 1
    np.testing.assert_array_equal(scores(Once(), pool.take([3, 1]), ("a", "bb")), found[[3, 1]])
    assert COUNTING.opened == 1, "a second call computes nothing"
    assert list((tmp_path / "germline").rglob("*.scores.jsonl"))
    scores(Once(), pool, ("a", "bb"), cache=tmp_path / "other")
    assert COUNTING.opened == 2


def test_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert users_folder() == tmp_path / "germline"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG specification: relative paths are to be ignored
    monkeypatch.setenv("HOME", str(tmp_path))
    assert users_folder() == tmp_path / ".cache" / "germline"
