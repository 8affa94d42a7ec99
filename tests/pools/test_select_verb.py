"""germline select: which rows, by closed forms and by the searches on plain arrays; lists, copies, kills, limits."""

import json
import tarfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_shards import picture, png, tar_of

from germline.cli import main
from germline.core.errors import BadInput
from germline.core.progress import silent
from germline.pools import density, shards_of
from germline.pools.chosen import uid_array
from germline.pools.near import near_earlier
from germline.pools.select import Wish, select
from germline.pools.spread import Search
from germline.pools.stacked import Part, Stacked
from germline.pools.work import Work, do
from germline.selectors.farthest import farthest


def brightness(images, conditions):
    return images.reshape(len(images), -1).mean(axis=1)


def stacked(features, cuts=3):
    parts = np.array_split(features, cuts)
    return Stacked(parts, [np.arange(len(part)) for part in parts], [str(n) for n in range(cuts)])


@pytest.fixture
def pool(tmp_path):
    """Twenty pictures, the i-th all of grey 10 i; one damaged, one a copy of another."""
    folder = tmp_path / "pool"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for number in range(20):
        data = png(np.full((8, 8, 3), 10 * number, np.uint8))
        (folder / "ab"[number % 2] / f"{number:02d}.png").write_bytes(data)
    (folder / "a" / "04.png").write_bytes(b"")
    tar_of(folder / "t.tar", [("00.png", png(np.full((8, 8, 3), 190, np.uint8))), ("00.json", b'{"caption": "a copy"}')])
    return folder


def run(capsys, *arguments):
    code = main(["select", *map(str, arguments)])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def rows(out, name="chosen"):
    return pq.read_table(out / f"{name}.parquet").to_pylist()


def test_top(capsys, tmp_path, pool):
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in pool.rglob("*") if path.is_file()}
    told = json.loads(run(capsys, "--pool", pool, "--n", 3, "--by", "top", "--score", f"{__name__}:brightness", "--out", out, "--json"))
    assert (told["chosen"], told["rows"], told["skipped"]) == (3, 20, 1)
    found = rows(out)
    assert [row["id"] for row in found] == ["t.tar/00", "a/18.png", "b/19.png"]
    assert [row["score"] for row in found] == [190, 180, 190]
    assert sorted(row["order"] for row in found) == [0, 1, 2]
    assert {row["weight"] for row in found} == {1.0}
    uids = np.load(out / "uids.npy")
    assert uids.dtype == np.dtype("u8,u8")
    assert [f"{high:016x}{low:016x}" for high, low in uids] == sorted(row["uid"] for row in found)
    assert {path: path.read_bytes() for path in pool.rglob("*") if path.is_file()} == before


def test_farthest_is_that_of_the_plain_search_and_says_how_far(capsys, tmp_path, pool):
    out = tmp_path / "out"
    run(capsys, "--pool", pool, "--n", 5, "--extractor", "pixels", "--out", out)
    chosen = sorted(rows(out), key=lambda row: row["order"])
    opened = shards_of(str(pool))
    level = {
        row.id: int(np.asarray(Image.open(row.file)).mean()) for shard in opened.shards[1:] for row in shard.rows() if row.id != "a/04.png"
    }
    level["t.tar/00"] = 190
    values = np.array([level[row["id"]] for row in chosen], float)
    left = np.array(sorted(set(level.values())), float)
    for number in range(1, 5):
        gaps = np.abs(left[:, None] - values[:number]).min(axis=1)
        assert np.abs(values[number] - values[:number]).min() == gaps.max()
        assert chosen[number]["score"] == pytest.approx(gaps.max() * np.sqrt(192), rel=1e-5)
    assert chosen[0]["score"] is None
    assert not (out / "unfinished").exists()


def test_uniform_draws_every_row_alike_and_never_a_damaged_one(tmp_path, pool):
    opened, counts = shards_of(str(pool)), np.zeros(21)
    work = Work(tmp_path / "out")
    do(work, opened)
    for seed in range(300):
        counts[select(work, opened, Wish(5, "uniform", seed=seed)).places] += 1
    damaged = 1 + sorted(path.name for path in (pool / "a").iterdir()).index("04.png")
    assert counts[damaged] == 0
    assert np.abs(np.delete(counts, damaged) - 75).max() < 5 * np.sqrt(75 * 0.75)


def test_near_duplicates_and_keep_quantile_say_whom_they_dropped(capsys, tmp_path, pool):
    out = tmp_path / "out"
    flags = ("--near-duplicates", 1, "--keep-quantile", 0.8)
    told = json.loads(run(capsys, "--pool", pool, "--n", 4, "--extractor", "pixels", "--out", out, *flags, "--json"))
    dropped = rows(out, "dropped")
    assert [row["id"] for row in dropped if "earlier" in row["reason"]] == ["b/19.png"]
    lonely = {row["id"] for row in dropped if "farthest" in row["reason"]}
    assert lonely == {"a/00.png", "t.tar/00", "b/01.png"}  # of a line, its ends are the lonely ones
    assert sorted(told["dropped"].values()) == [1, 3]
    assert not lonely & {row["id"] for row in rows(out)}


def test_copies_links_and_shards(capsys, tmp_path, pool):
    arguments = ("--pool", pool, "--n", 3, "--by", "top", "--score", f"{__name__}:brightness", "--out", tmp_path / "out")
    run(capsys, *arguments, "--copy", tmp_path / "copied", "--shards", tmp_path / "tars")
    lines = [json.loads(line) for line in (tmp_path / "copied" / "metadata.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["t.tar/00", "a/18.png", "b/19.png"]
    assert (lines[0]["text"], lines[1]["label"]) == ("a copy", "a")
    assert (tmp_path / "copied" / lines[1]["file_name"]).read_bytes() == (pool / "a" / "18.png").read_bytes()
    with tarfile.open(tmp_path / "tars" / "00000.tar") as tar:
        assert tar.getnames() == [
            "00000000.png",
            "00000000.txt",
            "00000000.json",
            *(f"0000000{n}.{e}" for n in (1, 2) for e in ("png", "json")),
        ]
    again = shards_of(str(tmp_path / "tars")).shards[0].rows()
    assert [row.uid for row in again] == [line["uid"] for line in lines]
    assert main(["select", *map(str, arguments), "--link", str(tmp_path / "links")]) == 1
    assert "nothing to link to" in capsys.readouterr().err
    assert not (tmp_path / "links").exists()
    (pool / "t.tar").unlink()
    run(capsys, *arguments, "--link", tmp_path / "links")
    assert all(path.is_symlink() and path.resolve().is_relative_to(pool) for path in (tmp_path / "links" / "images").iterdir())
    assert main(["select", *map(str, arguments), "--copy", str(tmp_path / "copied")]) == 1
    assert "there already" in capsys.readouterr().err


def test_confidence_orders_as_the_scorer_does(capsys, tmp_path):
    rng = np.random.default_rng(0)
    for place, count in (("real", 60), ("made", 20)):
        for label, level in (("dark", 60), ("light", 190)):
            (tmp_path / place / label).mkdir(parents=True)
            for number in range(count):
                shift = rng.normal(0, 30)
                image = np.clip(rng.normal(level + shift, 10, (8, 8)), 0, 255).astype(np.uint8)
                (tmp_path / place / label / f"{number:03d}.png").write_bytes(png(image))
    (tmp_path / "made" / "dark" / "wrong.png").write_bytes(png(np.full((8, 8), 200, np.uint8)))
    arguments = ("--by", "confidence", "--real", tmp_path / "real", "--extractor", "pixels", "--out", tmp_path / "out")
    run(capsys, "--pool", tmp_path / "made", "--n", 41, *arguments)
    found = sorted(rows(tmp_path / "out"), key=lambda row: row["order"])
    assert found[-1]["id"] == "dark/wrong.png"
    assert found[-1]["score"] < 0 < found[0]["score"]
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "0.png").write_bytes(png(np.full((8, 8), 90, np.uint8)))
    assert main(["select", "--pool", str(tmp_path / "flat"), "--n", "1", *map(str, arguments)]) == 1
    assert "take clusters" in capsys.readouterr().err


def test_embeddings_need_no_images(capsys, tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    pq.write_table(pa.table({"uid": [f"{n:032x}" for n in range(300)]}), tmp_path / "x.parquet")
    run(capsys, "--pool", tmp_path, "--n", 20, "--out", tmp_path.parent / "chosen-of-embeddings", "--seed", 3)
    found = sorted(rows(tmp_path.parent / "chosen-of-embeddings"), key=lambda row: row["order"])
    picks = [int(row["uid"], 16) for row in found]
    assert picks == farthest(x.astype(np.float32), 20, picks[0]).tolist()


@pytest.mark.parametrize("how", ["farthest", "threshold-decay"])
def test_a_killed_search_goes_on_to_the_same_rows(tmp_path, monkeypatch, how):
    monkeypatch.setattr("germline.pools.unfinished.SECONDS", 0.0)
    monkeypatch.setattr("germline.selectors.farthest.BLOCK", 64)
    monkeypatch.setattr("germline.selectors.farthest.CANDIDATES", 128)
    features = stacked(np.random.default_rng(1).normal(size=(2000, 6)).astype(np.float32))
    search = Search(how, 300, tmp_path / "out", "x")
    whole = replace(search, out=tmp_path / "other")(features, silent)
    from germline.pools import unfinished

    saves, real = [], unfinished.npz.write

    def dies(path, arrays):
        real(path, arrays)
        saves.append(len(arrays["picks"]))
        if len(saves) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(unfinished.npz, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        search(features, silent)
    assert 1 < saves[-1] < 300
    resumed = search(features, silent)
    assert saves[3] > saves[2]
    np.testing.assert_array_equal(resumed.rows, whole.rows)
    np.testing.assert_array_equal(resumed.distances, whole.distances)
    np.testing.assert_array_equal(search(features, silent).rows, whole.rows)


def test_above_the_limit_parts_then_union_and_the_measured_ratio(tmp_path):
    x = np.random.default_rng(2).normal(size=(1200, 4)).astype(np.float32)
    search = Search("farthest", 60, tmp_path, "x", limit=400)
    found = search(stacked(x), silent)
    assert (found.parts, found.measured, len(set(found.rows.tolist()))) == (3, 1200, 60)
    picks = x[found.rows].astype(np.float64)
    cover = np.sqrt(((x[:, None].astype(np.float64) - picks) ** 2).sum(-1)).min(axis=1).max()
    apart = [np.sqrt(((picks[:i] - picks[i]) ** 2).sum(1)).min() for i in range(1, 60)]
    assert found.ratio == pytest.approx(cover / min(apart), rel=1e-5)
    exact = x[farthest(x, 60, int(found.rows[0]))]
    best = np.sqrt(((x[:, None] - exact) ** 2).sum(-1)).min(axis=1).max()
    assert cover <= 2 * found.ratio * best * (1 + 1e-6)
    assert replace(search, limit=1200)(stacked(x), silent).ratio is None
    with pytest.raises(BadInput, match="only farthest"):
        replace(search, how="threshold-decay")(stacked(x), silent)


def test_weights_bring_the_mean_of_far_rows_to_that_of_all(tmp_path, monkeypatch):
    """Most rows lie in one crowd; far rows lie around it. A killed count goes on to the same weights."""
    draw = np.random.default_rng(6)
    x = np.concatenate([draw.normal(0, 0.3, (1000, 3)), draw.normal(4, 2, (200, 3))]).astype(np.float32)
    search, features = Search("farthest", 60, tmp_path, "x"), stacked(x)
    picks = search(features, silent).rows
    weights = search.weights(features, picks, silent)
    owner = np.sqrt(((x[:, None].astype(np.float64) - x[picks]) ** 2).sum(-1)).argmin(axis=1)
    np.testing.assert_array_equal(weights, np.bincount(owner, minlength=60) / 20)
    off = np.linalg.norm(np.average(x[picks], axis=0, weights=weights) - x.mean(axis=0))
    assert off < 0.25 * np.linalg.norm(x[picks].mean(axis=0) - x.mean(axis=0))

    monkeypatch.setattr("germline.pools.unfinished.SECONDS", 0.0)
    monkeypatch.setattr("germline.pools.spread.COUNTED", 100)
    from germline.pools import spread

    calls, real = [], spread.nearest

    def dies(query, base):
        calls.append(len(query))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(query, base)

    monkeypatch.setattr(spread, "nearest", dies)
    again = replace(search, out=tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        again.weights(features, picks, silent)
    np.testing.assert_array_equal(again.weights(features, picks, silent), weights)
    assert len(calls) == 4 + 9


def test_stacked_is_the_array():
    x = np.random.default_rng(3).normal(size=(50, 3)).astype(np.float16)
    kept = [np.arange(10), np.array([0, 2, 7]), np.arange(0)]
    arrays = [x[:10], x[10:25], np.zeros((4, 9))]
    whole, truth = Stacked(arrays, kept, "abc"), np.concatenate([x[:10], x[[10, 12, 17]]]).astype(np.float32)
    for rows_ in (slice(None), slice(8, 12), np.array([12, 0, 5, 11]), 4, np.empty(0, np.int64)):
        np.testing.assert_array_equal(whole[rows_], truth[rows_])
    np.testing.assert_array_equal(Part(whole, np.array([12, 1, 3]))[1:], truth[[1, 3]])
    with pytest.raises(BadInput, match="b has 4"):
        Stacked([np.zeros((2, 3)), np.zeros((2, 4))], [np.arange(2)] * 2, "ab")


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_near_duplicates_are_those_of_all_pairs(offset):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1500, 7)).astype(np.float32) + np.float32(offset)
    x[700:800] = x[:100]
    x[900:1000] = x[100:200] + rng.normal(0, 0.05, (100, 7)).astype(np.float32)
    apart = np.sqrt(((x[:, None].astype(np.float64) - x) ** 2).sum(-1))
    for distance in (0.0, 0.12, 0.9):
        truth = (np.tril(apart, -1) + np.triu(np.full_like(apart, np.inf))).min(axis=1)
        truth = (truth < distance) | (truth == 0)
        np.testing.assert_array_equal(near_earlier(stacked(x), distance, lambda more: None), truth)


def test_density_of_a_sample_is_that_of_all_pairs():
    x = np.random.default_rng(5).normal(size=(500, 4)).astype(np.float32)
    sample = density.sampled(500, 80)
    found = density.radii(stacked(x), slice(0, 500), sample, x[sample], 3)
    apart = np.sqrt(((x[:, None].astype(np.float64) - x[sample]) ** 2).sum(-1))
    apart[sample, np.arange(80)] = np.inf
    np.testing.assert_allclose(found, np.sort(apart, axis=1)[:, 2], rtol=1e-6)
    assert len(set(sample.tolist())) == 80


def test_uid_array_sorts_by_both_halves():
    found = uid_array(["f" * 32, "0" * 31 + "2", "0" * 16 + "f" * 16, "0" * 31 + "1"])
    assert found.tolist() == [(0, 1), (0, 2), (0, 2**64 - 1), (2**64 - 1, 2**64 - 1)]


def test_dry_run(capsys, tmp_path, pool):
    arguments = ("--pool", pool, "--n", 3, "--extractor", "pixels", "--keep-quantile", 0.9, "--out", tmp_path / "out", "--dry-run")
    told = json.loads(run(capsys, *arguments, "--json"))
    assert told["search_seconds_at_most"] > 0
    assert told["bytes_written"] > 20 * 8 * 8 * 3 * 4 / 2
    assert "at most" in run(capsys, *arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "flags, what",
    [
        (("--n", 99, "--by", "uniform"), "more than the 20 rows"),
        (("--n", 0, "--by", "uniform"), "at least 1"),
        (("--n", 3), "in which space"),
        (("--n", 3, "--by", "uniform", "--copy", "s3://bucket/kept"), "is an address"),
        (("--n", 3, "--by", "top"), "needs --score"),
        (("--n", 3, "--by", "uniform", "--weigh"), "stands for itself"),
        (("--n", 3, "--by", "uniform", "--keep-quantile", 0.9), "--keep-quantile measures distances"),
        (("--n", 3, "--by", "top", "--score", "density:pixels", "--extractor", "efficientnet"), "two spaces"),
        (("--n", 3, "--by", "uniform", "--score", "clip"), "goes with --by top"),
        (("--n", 3, "--by", "confidence"), "--real"),
        (("--n", 3, "--extractor", "classifier"), "--real"),
        (("--n", 3, "--extractor", "bottleneck"), "generation 0"),
        (("--n", 3, "--extractor", "pixels", "--keep-quantile", 0), "share above 0"),
        (("--n", 3, "--extractor", "pixels", "--near-duplicates", -1), "0 or more"),
    ],
)
def test_what_cannot_be(capsys, tmp_path, pool, flags, what):
    assert main(["select", "--pool", str(pool), "--out", str(tmp_path / "out"), *map(str, flags)]) == 1
    assert what in capsys.readouterr().err


def test_images_of_several_sizes_need_a_size(capsys, tmp_path):
    (tmp_path / "pool").mkdir()
    for number, side in enumerate((4, 8, 8)):
        (tmp_path / "pool" / f"{number}.png").write_bytes(png(picture(number, (side, side, 3))))
    arguments = ["select", "--pool", str(tmp_path / "pool"), "--n", "2", "--extractor", "pixels", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "--size 64" in capsys.readouterr().err
    assert main([*arguments, "--size", "4"]) == 0
