"""A user's own images and votes: found by file, hash or pixels, averaged, counted; and errors that name file and row."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from germline.core.errors import BadInput
from germline.core.pool import GIVEN
from germline.core.scores import pair_of
from germline.data.rated import COLUMN, rated

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"a thing number {i}\n")
    return folder


def votes(tmp_path, lines):
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_captions_origin_and_size(pool):
    found = rated(pool, None, 8)
    assert found.images.shape == (5, 8, 8, 3)
    assert found.condition.tolist() == [f"a thing number {i}" for i in range(5)]
    assert found.origin.tolist() == [[GIVEN, i] for i in range(5)]
    assert not found.real.any()
    assert not found.columns
    (rated(pool, None, 12).images[:] == IMAGES).all()


def test_captions_of_metadata(pool):
    for path in pool.glob("*.txt"):
        path.unlink()
    lines = [json.dumps({"file_name": f"{i}.png", "text": f"told {i}"}) for i in (3, 1)]
    (pool / "metadata.jsonl").write_text("\n".join(lines))
    found = rated(pool, None, 12)
    assert found.condition.tolist() == ["told 3", "told 1"]
    assert (found.images[:] == IMAGES[[3, 1]]).all()


@pytest.mark.parametrize("by", ["file_name", "sha256", "image", "small image"])
@pytest.mark.parametrize("size", [12, 8])
def test_votes_are_averaged_and_unrated_images_left_out(pool, tmp_path, by, size):
    small = rated(pool, None, size).images[:]
    names = {
        "file_name": [f"{i}.png" for i in range(5)],
        "sha256": [hashlib.sha256((pool / f"{i}.png").read_bytes()).hexdigest().upper() for i in range(5)],
        "image": [pair_of(image, "")[0] for image in IMAGES],
        "small image": [pair_of(image, "")[0] for image in small],
    }[by]
    key = by.removeprefix("small ")
    table = votes(
        tmp_path, [{key: names[i], "score": score, "rater": who} for i, score, who in ((4, 1, "a"), (4, 0, "b"), (1, 1, "a"), (4, 1, "c"))]
    )
    with pytest.warns(UserWarning, match=r"3 of 5 images have no rating in .*votes.jsonl and are left out, first .*0.png"):
        found = rated(pool, table, size)
    assert found.origin.tolist() == [[GIVEN, 1], [GIVEN, 4]], "a row keeps its number"
    assert found.columns[COLUMN] == pytest.approx([1, 2 / 3])
    assert (found.images[:] == small[[1, 4]]).all()


def test_votes_as_the_voting_page_writes_them(pool, tmp_path):
    path = tmp_path / "ratings.parquet"
    pq.write_table(pa.table({"image": [pair_of(image, "")[0] for image in IMAGES], "score": [0.0, 1.0, 0.5, 1.0, 0.25]}), path)
    assert rated(pool, path, 12).columns[COLUMN].tolist() == [0, 1, 0.5, 1, 0.25]


def test_votes_of_other_images_are_counted(pool, tmp_path):
    mine, other = pair_of(IMAGES[0], "")[0], "0" * 64
    with pytest.warns(UserWarning, match="1 entries of .*votes.jsonl are of pictures that .*mine does not hold"):
        rated(pool, votes(tmp_path, [{"image": mine, "score": 1}, {"image": other, "score": 1}]), 12)
    with pytest.raises(BadInput, match=r"votes.jsonl rates no picture of .*mine \(1 entries are of others\); is it of this pool"):
        rated(pool, votes(tmp_path, [{"image": other, "score": 1}]), 12)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"file_name": "1.png"}, r"votes.jsonl entry 1 lacks score; it has file_name"),
        ({"score": 1}, r"votes.jsonl entry 1 lacks file_name, sha256 or image; it has score"),
        ({"file_name": "1.png", "score": "good"}, r"votes.jsonl entry 1 holds 'good' where a number should be"),
        ({"file_name": "9.png", "score": 1}, r"votes.jsonl entry 1 rates 9.png, which is no picture of .*mine; its first is .*0.png"),
    ],
)
def test_errors_name_file_and_row(pool, tmp_path, line, message):
    with pytest.raises(BadInput, match=message):
        rated(pool, votes(tmp_path, [{"file_name": "0.png", "score": 1}, line]), 12)


def test_no_table_no_captions_no_picture(pool, tmp_path):
    with pytest.raises(BadInput, match=r"there is no file .*nowhere.csv"):
        rated(pool, tmp_path / "nowhere.csv", 12)
    for path in pool.glob("*.txt"):
        path.unlink()
    with pytest.raises(BadInput, match=r"mine has no captions"):
        rated(pool, None, 12)
    (pool / "2.txt").write_text("alone")
    with pytest.raises(BadInput, match=r"0.png has no caption, but 1 of 5 pictures have one"):
        rated(pool, None, 12)
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(pool / "grey.png")
