"""Pools behind an S3 server, read as those of a folder are. The server is moto's, on loopback; s3fs is the extra `s3`."""

import json

import numpy as np
import pytest
from test_shards import picture, png, tar_of

from germline.cli import main
from germline.pools import shards_of
from germline.pools.blocks import Fit, image_of

pytestmark = pytest.mark.slow
s3fs, moto = pytest.importorskip("s3fs"), pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket, and the same files in a folder: pictures of two classes, a tar, embeddings."""
    folder = tmp_path_factory.mktemp("pool")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for number in range(12):
        path = folder / "pictures" / ("day", "night")[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture(number)))
    (folder / "tars").mkdir()
    tar_of(folder / "tars" / "00.tar", [(f"{number}.png", png(picture(100 + number))) for number in range(12)])
    (folder / "embeddings").mkdir()
    np.save(folder / "embeddings" / "e.npy", np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        files = s3fs.S3FileSystem()
        files.mkdir("bucket")
        files.put(f"{folder}/", "bucket/", recursive=True)
        yield "s3://bucket", folder
    server.stop()


def chosen(capsys, pool, out, *flags):
    assert main(["select", "--pool", str(pool), "--n", "4", "--out", str(out), *map(str, flags), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    return told["rows"], np.load(out / "uids.npy").tolist()


@pytest.mark.parametrize("kind, flags", [("pictures", ["--extractor", "pixels"]), ("tars", ["--extractor", "pixels"]), ("embeddings", [])])
def test_the_same_rows_are_chosen_as_of_a_folder(bucket, tmp_path, capsys, kind, flags):
    address, folder = bucket
    assert chosen(capsys, f"{address}/{kind}", tmp_path / "a", *flags) == chosen(capsys, folder / kind, tmp_path / "b", *flags)


def test_chosen_pictures_are_fetched(bucket, tmp_path, capsys):
    address, folder = bucket
    chosen(capsys, f"{address}/pictures", tmp_path / "out", "--extractor", "pixels", "--copy", tmp_path / "kept")
    lines = [json.loads(line) for line in (tmp_path / "kept" / "metadata.jsonl").read_text().splitlines()]
    for line in lines:
        assert (tmp_path / "kept" / line["file_name"]).read_bytes() == (folder / "pictures" / line["id"]).read_bytes()
    again = [image_of(row, Fit()) for shard in shards_of(str(tmp_path / "kept")).shards for row in shard.rows()]
    assert len(again) == len(lines) == 4


def test_a_bucket_that_is_not_there(bucket, tmp_path, capsys):
    assert main(["score", "--pool", "s3://elsewhere", "--by", "density", "--out", str(tmp_path / "out")]) == 1
    assert "does not exist" in capsys.readouterr().err
