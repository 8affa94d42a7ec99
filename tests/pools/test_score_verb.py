"""germline score: every row scored once, shard by shard, whatever was killed; only what is new is made."""

import importlib
import json
import sys
import threading
import types
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_shards import picture, png, tar_of

from germline.cli import main
from germline.core import digest
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.pool import Pool
from germline.scorers import DualEncoder, Function, Http
from germline.scorers.identity import THIS_PROCESS, own_code
from germline.scorers.named import scorer
from germline.scorers.server import server

CALLS = []


def brightness(images, conditions):
    CALLS.append(len(images))
    return images.reshape(len(images), -1).mean(axis=1)


def words(images, conditions):
    return np.array([len(text) for text in conditions], float)


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "pool"
    folder.mkdir()
    for number in range(12):
        shape = (8, 8, 3) if number % 2 else (6, 9, 3)
        (folder / f"{number:02d}.png").write_bytes(png(picture(number, shape)))
    (folder / "03.png").write_bytes(b"")
    for number in range(11):
        (folder / f"{number:02d}.txt").write_text("x" * number or "-")
    (folder / "11.txt").write_text("-")
    members = [(f"{n}.png", png(picture(100 + n))) for n in range(5)]
    tar_of(folder / "t.tar", members)
    return folder


def run(capsys, *arguments):
    CALLS.clear()
    code = main(["score", *map(str, arguments)])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def table_of(out):
    return {row["id"]: row for path in (out / "rows").glob("*.parquet") for row in pq.read_table(path).to_pylist()}


def test_score(capsys, tmp_path, pool):
    out, by = tmp_path / "out", f"{__name__}:brightness,name=bright,{__name__}:words"
    before = {path: path.read_bytes() for path in pool.iterdir()}
    told = json.loads(run(capsys, "--pool", pool, "--by", by, "--out", out, "--json"))
    assert (told["rows"], told["skipped"], told["companions"], told["made"]) == (16, 1, 12, 2)
    table = table_of(out)
    assert table["t.tar/4"]["bright"] == pytest.approx(picture(104).mean())
    assert table["04.png"]["bright"] == pytest.approx(picture(4, (6, 9, 3)).mean())
    assert table["04.png"]["words"] == 4
    assert table["03.png"]["bright"] is None
    assert "0 bytes" in table["03.png"]["skipped"]
    assert pq.read_table(out / "skipped.parquet").to_pylist() == [{"id": "03.png", "reason": "the file is empty (0 bytes)"}]
    assert {path: path.read_bytes() for path in pool.iterdir()} == before

    run(capsys, "--pool", pool, "--by", by, "--out", out)
    assert not CALLS

    (pool / "u.tar").write_bytes(tar_of(tmp_path / "u.tar", [("0.png", png(picture(7)))]).read_bytes())
    assert json.loads(run(capsys, "--pool", pool, "--by", by, "--out", out, "--json"))["made"] == 1
    assert sum(CALLS) == 1

    (pool / "t.tar").unlink()
    run(capsys, "--pool", pool, "--by", by, "--out", out)
    assert not CALLS
    assert "t.tar/4" not in table_of(out)


def test_another_scorer_is_a_column_more(capsys, tmp_path, pool):
    out = tmp_path / "out"
    run(capsys, "--pool", pool, "--by", f"{__name__}:brightness", "--out", out)
    run(capsys, "--pool", pool, "--by", f"{__name__}:words", "--out", out)
    assert not CALLS
    assert {"brightness", "words"} < set(table_of(out)["00.png"])
    run(capsys, "--pool", pool, "--by", f"{__name__}:brightness", "--out", out, "--size", 4)
    assert sum(CALLS) == 16


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Write a module of the user's, as a new process would see it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body):
        (tmp_path / "edited_by_hand.py").write_text(f"def bright(images, conditions):\n    return {body}\n")
        sys.modules.pop("edited_by_hand", None)
        importlib.invalidate_caches()
        return "edited_by_hand:bright"

    yield write
    sys.modules.pop("edited_by_hand", None)


def test_scores_of_a_function_are_made_again_when_its_file_is_edited(capsys, tmp_path, pool, edited):
    for body, value, made in (("[1] * len(images)", 1, 2), ("[1] * len(images)", 1, 0), ("[-1] * len(images)", -1, 2)):
        told = run(capsys, "--pool", pool, "--by", edited(body), "--out", tmp_path / "out", "--json")
        assert json.loads(told)["made"] == made
        assert table_of(tmp_path / "out")["00.png"]["bright"] == value


def test_a_server_of_a_function_is_another_when_its_file_is_edited(tmp_path, edited):
    images, ctx = Pool.of(np.zeros((2, 4, 4, 3), np.uint8), np.array(["a", "b"])), Context(0, 0, None, cache=Cache(tmp_path / "cache"))
    runs = set()
    for body, value in (("[1] * len(images)", 1), ("[-1] * len(images)", -1)):
        runs.add(digest.of_part(function := scorer(edited(body))))
        with server(function) as served:
            threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            found = Http(f"http://127.0.0.1:{served.server_address[1]}/", digest=None)(images, ctx)
            served.shutdown()
        np.testing.assert_array_equal(found, [value, value])
    assert len(runs) == 1, "a run knows a function by its name: an edit must not break its records"


def test_a_function_in_no_file_is_known_to_its_process_alone():
    function = types.FunctionType(brightness.__code__, {}, "typed")
    function.__module__ = "typed_in"
    assert own_code(Function(function)) == own_code(Function(partial(function))) == [THIS_PROCESS]
    assert own_code(Function(brightness)) == [digest.of_file(Path(__file__))]
    assert own_code(DualEncoder()) == [], "a part has a version"


CAPTIONS_LACK = "dual_encoder: images are compared with their captions, but 3 of 3 rows of {} have none; give the folder a metadata.jsonl"


def test_a_pool_without_captions_is_refused_by_what_reads_them(capsys, tmp_path):
    (bare := tmp_path / "bare").mkdir()
    for number in range(3):
        (bare / f"{number}.png").write_bytes(png(picture(number)))
    out = tmp_path / "out"
    ways = (
        ["score", "--by", "realness,dual_encoder"],
        ["score", "--by", "dual_encoder", "--dry-run"],
        ["select", "--by", "top", "--score", "dual_encoder", "--n", "1"],
    )
    for verb, *flags in ways:
        assert main([verb, "--pool", str(bare), "--out", str(out), *flags]) == 1
        assert CAPTIONS_LACK.format(bare) in capsys.readouterr().err
        assert not out.exists()
    run(capsys, "--pool", bare, "--by", f"realness,{__name__}:words", "--out", out, "--cache", tmp_path / "cache")
    assert table_of(out)["0.png"]["words"] == 0

    (bare / "1.txt").write_text("a cat")
    code = main(["score", "--pool", str(bare), "--by", "dual_encoder,realness", "--out", str(out), "--cache", str(tmp_path / "cache")])
    assert code == 0
    assert capsys.readouterr().err.count("note: dual_encoder: 2 rows have no caption, and were scored by an empty one.") == 1
    assert np.isfinite(table_of(out)["0.png"]["dual_encoder"])


def test_dry_run_counts_and_writes_nothing(capsys, tmp_path, pool):
    out = tmp_path / "out"
    told = json.loads(run(capsys, "--pool", pool, "--by", f"{__name__}:brightness", "--out", out, "--dry-run", "--json"))
    assert not out.exists()
    assert not told["counted"]
    assert told["shards"] == 2
    assert 15 <= told["rows"] <= 25
    assert told["seconds"] > 0
    assert told["bytes_written"] > 0
    assert "rows" in run(capsys, "--pool", pool, "--by", f"{__name__}:brightness", "--out", out, "--dry-run")


def test_a_killed_shard_goes_on_from_the_kept_scores(capsys, tmp_path, pool, monkeypatch):
    """A scorer that dies in the second block: the rows of the first were kept, and are not sent again."""
    from contextlib import nullcontext
    from dataclasses import dataclass

    from germline.pools import shards_of, work
    from germline.pools.blocks import Fit
    from germline.scorers.kept import kept

    sent = []

    @dataclass(frozen=True)
    class Dies:
        at: int = 0
        name = "dies"

        def __call__(self, pool, ctx):
            def score(images, conditions):
                if self.at and len(sent) >= self.at:
                    raise KeyboardInterrupt
                sent.append(len(images))
                return images.reshape(len(images), -1).mean(axis=1)

            return kept(brightness, pool, [""] * len(pool), ctx, lambda: nullcontext(score), batch=4)

    monkeypatch.setattr("germline.pools.blocks.ROWS", 4)
    opened = shards_of(str(pool / "t.tar"))
    with pytest.raises(KeyboardInterrupt):
        work.do(work.Work(tmp_path / "out", (Dies(1),), fit=Fit(), cache=tmp_path / "cache"), opened)
    work.do(work.Work(tmp_path / "out", (Dies(),), fit=Fit(), cache=tmp_path / "cache"), opened)
    assert len(sent) == 2
    assert table_of(tmp_path / "out")["t.tar/4"]["dies"] == pytest.approx(picture(104).mean())


def test_what_cannot_be(capsys, tmp_path, pool):
    assert main(["score", "--pool", str(pool), "--by", f"{__name__}:words", "--out", str(pool / "out")]) == 1
    assert "inside of --pool" in capsys.readouterr().err
    assert main(["score", "--pool", str(pool), "--by", f"{__name__}:words", "--out", "s3://bucket/out"]) == 1
    assert "is an address" in capsys.readouterr().err
    assert main(["score", "--pool", str(pool), "--by", f"{__name__}:words,{__name__}:words", "--out", str(tmp_path / "o")]) == 1
    assert "two columns" in capsys.readouterr().err
    np.save(tmp_path / "e.npy", np.zeros((3, 4), np.float32))
    assert main(["score", "--pool", str(tmp_path / "e.npy"), "--by", f"{__name__}:words", "--out", str(tmp_path / "o")]) == 1
    assert "embeddings only" in capsys.readouterr().err


def test_fields_of_scores_in_features(capsys, tmp_path, pool):
    for by, what in (
        ("density", "say in which space"),
        ("support", "name them: support:efficientnet"),
        ("support:pixels", "give some: --real"),
        ("support:pixels,width=3", "has no field width"),
        ("confidence:pixels,clusters=few", "takes a number"),
        ("density:pixels,density:pixels", "twice"),
    ):
        assert main(["score", "--pool", str(pool), "--by", by, "--out", str(tmp_path / "out")]) == 1
        assert what in capsys.readouterr().err
