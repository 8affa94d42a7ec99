"""germline score: every row scored once, shard by shard, whatever was killed; only what is new is made."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_shards import picture, png, tar_of

from germline.cli import main

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
