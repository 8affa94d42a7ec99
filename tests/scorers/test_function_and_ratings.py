"""A user's own function, and a user's own table, as scores."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from conftest import gaussian_recipe
from germline.chain import fork
from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.scores import pair_of
from germline.loop import Loop
from germline.scorers import Function, Ratings
from germline.selectors import Preference

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
POOL = Pool.of(IMAGES, np.array(list("abcdef")))
CTX = Context(1, 0, None)
VALUES = [0.5, -1, 2e-3, 7, 8.25, 1e9]


def brightness(images, conditions):
    return images.mean(axis=(1, 2, 3))


def written(path, entries):
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(entries[0]))
            writer.writeheader()
            writer.writerows(entries)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(entries), path)
    else:
        path.write_text(json.dumps(entries) if path.suffix == ".json" else "\n".join(map(json.dumps, entries)))
    return path


def test_a_function_is_given_the_rows_in_blocks():
    many = Pool.of(np.random.default_rng(1).integers(0, 256, (300, 2, 2, 1), dtype=np.uint8), np.arange(300))
    seen = []

    def rate(images, conditions):
        seen.append(len(images))
        return images[:, 0, 0, 0] + conditions

    np.testing.assert_array_equal(Function(rate)(many, CTX), many.images[:][:, 0, 0, 0] + np.arange(300.0))
    assert seen == [250, 50]
    assert digest.of_part(Function(brightness)) == digest.of_part(Function(brightness)) != digest.of_part(Function(rate))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda images, conditions: images.mean(axis=(1, 2)), r"must return 6 numbers, one an image, but returned float64 \(6, 3\)"),
        (lambda images, conditions: 3.0, r"must return 6 numbers, .*\(\)"),
        (lambda images, conditions: ["good"] * 6, "must return 6 numbers, one an image, but returned <U4"),
        (lambda images, conditions: np.where(conditions == "c", np.nan, 1.0), "returned NaN or infinity in row 2"),
    ],
)
def test_a_function_that_returns_something_else(function, says):
    with pytest.raises(BadInput, match=says):
        Function(function)(POOL, CTX)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".json", ".jsonl"])
def test_ratings_by_row_image_and_file(ending, tmp_path):
    order = [3, 0, 5, 1, 4, 2]
    by_row = written(tmp_path / f"row{ending}", [{"row": row, "score": VALUES[row]} for row in order])
    np.testing.assert_array_equal(Ratings(by_row)(POOL, CTX), VALUES)
    np.testing.assert_array_equal(Ratings(by_row)(POOL.take([4, 4, 1]), CTX), [8.25, 8.25, -1])
    by_image = written(tmp_path / f"image{ending}", [{"image": pair_of(IMAGES[row], "")[0], "votes": VALUES[row]} for row in order])
    np.testing.assert_array_equal(Ratings(by_image, by="image", column="votes")(POOL, CTX), VALUES)
    (tmp_path / "made").mkdir(exist_ok=True)
    for row, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / "made" / f"ü{row}.png")
    by_file = written(tmp_path / f"file{ending}", [{"file_name": f"made/ü{row}.png", "score": VALUES[row]} for row in order])
    np.testing.assert_array_equal(Ratings(by_file, by="file")(POOL, CTX), VALUES)


def test_rows_of_several_generations(tmp_path):
    both = Pool.concat([POOL, Pool.of(255 - IMAGES, POOL.condition, generation=2)])
    entries = [{"generation": g, "row": row, "score": 10 * g + row} for g in (-1, 2) for row in range(6)]
    found = Ratings(written(tmp_path / "r.csv", entries))(both, CTX)
    np.testing.assert_array_equal(found, [10 * g + row for g, row in both.origin])
    alone = written(tmp_path / "alone.csv", [{"row": row, "score": 1} for row in range(6)])
    with pytest.raises(BadInput, match="rows of several generations, so .*alone.csv needs a column generation"):
        Ratings(alone)(both, CTX)


def test_ratings_of_grey_pictures(tmp_path):
    grey = IMAGES[..., :1]
    for row, image in enumerate(grey):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{row}.png")
    table = written(tmp_path / "r.csv", [{"file_name": f"{row}.png", "score": row} for row in range(6)])
    np.testing.assert_array_equal(Ratings(table, by="file")(Pool.of(grey), CTX), np.arange(6))


def test_missing_ratings(tmp_path):
    table = written(tmp_path / "r.csv", [{"row": row, "score": row} for row in (0, 1, 2, 4, 5)])
    with pytest.raises(BadInput, match=r"r.csv has no score for row 3 of the real data; rate it, or say what it gets: missing=0"):
        Ratings(table)(POOL, CTX)
    np.testing.assert_array_equal(Ratings(table, missing=-5)(POOL, CTX), [0, 1, 2, -5, 4, 5])
    assert digest.of_part(Ratings(table)) != digest.of_part(Ratings(table, missing=-5))
    before = digest.of_part(Ratings(table))
    written(table, [{"row": row, "score": 2 * row} for row in range(6)])
    assert digest.of_part(Ratings(table)) != before, "a run knows a table by its content"


def test_a_generation_that_nobody_voted_on_is_refused_and_a_fork_goes_on_by_new_votes(tmp_path, tiny):
    def rated(chain, generation, scores):
        shown = zip(chain[generation].samples.images[:], scores, strict=False)
        entries = [{"image": pair_of(image, "")[0], "score": score} for image, score in shown]
        return Ratings(written(tmp_path / f"votes{generation}-{len(scores)}.csv", entries), by="image", missing=0)

    def by(votes, name):
        recipe = gaussian_recipe(20, scorers=(votes,), selector=Preference(4, by=("ratings",), cap=None))
        return Loop.at(tmp_path / name, recipe, tiny)

    base = Loop.at(tmp_path / "base", gaussian_recipe(20), tiny)
    list(base.run(0))
    first = by(rated(base.chain, 0, [0, 1] * 10), "first")
    with pytest.raises(BadInput) as caught:
        list(first.run(2))
    for said in (
        "generation 2 chooses among 20 rows of generation 1, but ",
        "votes0-20.csv rates none of them. Let people vote on these images",
        f"germline vote keep {first.chain.path} --generation 1)",
    ):
        assert said in str(caught.value)
    assert len(first.chain) == 2
    with pytest.raises(BadInput, match="generation 1 chooses .* of generation 0, but .* rates 3 of them, each 0 as what it lacks"):
        list(by(rated(base.chain, 0, [0, 0, 0]), "rejected").run(1))
    assert not first.recipe.scorers[0](first.chain[1].samples, first.chain.context(1, tiny)).any(), "a metric is no choice"
    fork(first.chain.path, tmp_path / "second", 1)
    *_, last = by(rated(first.chain, 1, [1, 1, 0, 1, 1]), "second").run(2)
    assert sorted(last.training(tiny).origin.tolist()) == [[1, 0], [1, 1], [1, 3], [1, 4]]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([{"row": 0, "grade": 1}], "entry 0 lacks score; it has row, grade"),
        ([{"line": 0, "score": 1}], "entry 0 lacks row"),
        ([{"row": 0, "score": "good"}], "entry 0 holds 'good' where a number should be"),
        ([{"row": 0, "score": "nan"}], "entry 0 holds 'nan' where a number"),
        ([{"row": "first", "score": "1"}], "holds 'first' where a number"),
        ([{"row": 0, "score": ""}], "entry 0 lacks score"),
        (
            [{"row": 0, "score": 1}, {"row": 1, "score": 1}, {"row": 0, "score": 2}],
            "entry 2 rates 0 again; give each one number, such as the mean",
        ),
    ],
)
def test_crooked_tables_are_named(entries, says, tmp_path):
    with pytest.raises(BadInput, match=says):
        Ratings(written(tmp_path / "r.csv", entries))(POOL, CTX)


def test_unreadable_tables_are_named(tmp_path):
    for name, content, says in (
        ("r.json", '{"row": 0}', "must be a list of objects"),
        ("r.json", "[", "cannot be read"),
        ("r.parquet", "PAR1", "cannot be read"),
        ("r.xlsx", "", "is of no known kind; give .csv, .parquet, .json or .jsonl"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(BadInput, match=says):
            Ratings(tmp_path / name)(POOL, CTX)
    with pytest.raises(BadInput, match="Ratings: there is no .*gone.csv"):
        Ratings(tmp_path / "gone.csv")
    table = written(tmp_path / "r.csv", [{"file_name": "gone.png", "score": 1}])
    with pytest.raises(BadInput, match="rates .*gone.png, which cannot be read"):
        Ratings(table, by="file")(POOL, CTX)
