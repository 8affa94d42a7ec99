"""Export, then load: by us, by the datasets library, by webdataset."""

import json
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.data import digits, export, load_images

CLASSES = ("T-shirt/top", "..", "a", "A", "con:", "never used")


@pytest.fixture(params=[1, 3])
def pool(request):
    rng = np.random.default_rng(0)
    return Pool.of(rng.integers(0, 256, (23, 8, 8, request.param)).astype(np.uint8), np.arange(23) % 5, generation=2)


@pytest.mark.parametrize("format", ["imagefolder", "parquet"])
def test_round_trip(pool, tmp_path, format):
    export(pool, CLASSES, tmp_path / "out", format)
    found = load_images(tmp_path / "out")
    np.testing.assert_array_equal(found.images, pool.images[:])
    np.testing.assert_array_equal(found.conditions, pool.condition)
    assert found.classes == (CLASSES if format == "parquet" else CLASSES[:5])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("format", ["imagefolder", "parquet"])
def test_prompts_round_trip(tmp_path, format):
    images, prompts = np.zeros((3, 4, 4, 3), np.uint8), np.array(["a cat", "ein Hündchen", "two\nlines"])
    export(Pool.of(images, prompts, 0), (), tmp_path / "out", format)
    assert load_images(tmp_path / "out").conditions.tolist() == prompts.tolist()


@pytest.mark.parametrize("format", ["imagefolder", "parquet"])
def test_the_datasets_library_opens_it(pool, tmp_path, format, monkeypatch):
    datasets = pytest.importorskip("datasets")
    export(pool, CLASSES, tmp_path / "out", format)
    if format == "parquet":
        files = str(tmp_path / "out/*.parquet")
        found = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
        assert found.features["label"].names == list(CLASSES)
    else:
        found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(found.features["image"], datasets.Image)
    order = np.argsort(found["row"])
    for row, at in enumerate(order):
        record = found[int(at)]
        assert (record["label"], record["generation"]) == (pool.condition[row], 2)
        np.testing.assert_array_equal(np.asarray(record["image"]).reshape(pool.images.shape[1:]), pool.images[[row]][0])


def test_webdataset_opens_the_shards_and_equal_pools_give_equal_bytes(pool, tmp_path, monkeypatch):
    wds = pytest.importorskip("webdataset")
    monkeypatch.setattr(sys.modules["germline.data.export"], "SHARD", 10)
    for out in ("a", "b"):
        export(pool, CLASSES, tmp_path / out, "webdataset")
    shards = sorted((tmp_path / "a").iterdir())
    assert [path.name for path in shards] == ["00000.tar", "00001.tar", "00002.tar"]
    assert [path.read_bytes() for path in shards] == [path.read_bytes() for path in sorted((tmp_path / "b").iterdir())]
    rows = list(wds.WebDataset([str(path) for path in shards], shardshuffle=False).decode("rgb8"))
    assert [row["cls"] for row in rows] == pool.condition.tolist()
    assert [row["json"]["row"] for row in rows] == list(range(23))
    np.testing.assert_array_equal(rows[22]["png"][..., : pool.images.shape[3]], pool.images[[22]][0])


def test_real_rows_keep_their_origin(tmp_path):
    pool = digits().held_out
    done = []

    @contextmanager
    def progress(what, total):
        assert total == len(pool)
        yield done.append

    export(pool, digits().classes, tmp_path / "out", progress=progress)
    assert sum(done) == len(pool)

    lines = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines()]
    assert [[line["generation"], line["row"]] for line in lines] == pool.origin.tolist()


def test_export_overwrites_nothing_and_leaves_nothing_behind(pool, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match="is there already"):
        export(pool, CLASSES, tmp_path / "out")
    with pytest.raises(BadInput, match="knows the formats imagefolder, parquet, webdataset, but was asked for 'zip'"):
        export(pool, CLASSES, tmp_path / "new", "zip")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="Row 3 has condition 3, but the classes count from 0 to 2"):
        export(pool, CLASSES[:3], tmp_path / "new")
    with pytest.raises(BadInput, match="empty pool"):
        export(pool.take([]), CLASSES, tmp_path / "new")

    class Stop(Exception):
        pass

    def stopping(what, total):
        raise Stop

    with pytest.raises(Stop):
        export(pool, CLASSES, tmp_path / "new", progress=stopping)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
