"""The picture of arms x generations: what stands at a place is the sample that should, and mistakes are answered."""

import numpy as np
import pytest

from conftest import gaussian_recipe, gaussian_splits
from germline.core.errors import BadInput
from germline.core.pool import Pool, Source
from germline.core.splits import split
from germline.loop import Loop
from germline.report.arms import groups
from germline.report.grids import alike, asked_anew, at_places, gap_of
from germline.report.sheet import Cut, rows_shown, sheet, without_accents
from report.test_page import make


def colour_splits(n=20, side=6, classes=4):
    images = np.random.default_rng(0).integers(0, 256, (4 * n, side, side, 3)).astype(np.uint8)
    names = tuple("wxyz"[:classes])
    return split("colour", images, np.arange(4 * n) % classes, names, {"real": n, "reserve": 0, "judge": n, "held_out": n})


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Three arms at two seeds."""
    return groups(make(tmp_path_factory.mktemp("sheet"), gaussian_splits(20, 6), generations=2, seeds=(0, 3), metrics=()))[0]


def tile(found, line, column, place, shape):
    """Return the pixels of a place, by the layout alone; all copies of a pixel must be equal."""
    (x, y), gap = found.corners[line][column], gap_of(shape[1])
    x += place % found.columns * (shape[1] + gap) * found.scale
    y += place // found.columns * (shape[0] + gap) * found.scale
    pixels = np.asarray(found.image)[y : y + shape[0] * found.scale, x : x + shape[1] * found.scale]
    blocks = pixels.reshape(shape[0], found.scale, shape[1], found.scale, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    return blocks[:, 0, :, 0]


def assert_places(found, group):
    real = group.data.real
    condition = group.arms[0].shown.generations[0].samples.condition[found.rows]
    for i, line in enumerate(found.lines):
        np.testing.assert_array_equal(
            tile(found, i, 0, 1, real.images.shape[1:])[..., :1], real.images[alike(real, condition)[[1]]][0][..., :1]
        )
        for j, generation in enumerate(found.generations, 1):
            samples = line.run.generations[generation].samples
            for place, row in enumerate(found.rows):
                image = samples.images[[row]][0]
                np.testing.assert_array_equal(tile(found, i, j, place, image.shape), np.broadcast_to(image, (*image.shape[:2], 3)))


@pytest.mark.parametrize("cut", [Cut(), Cut(rows=3, scale=2), Cut(("b",), (3, 0), (2, 0), rows=4, scale=1)])
def test_a_place_shows_its_row_of_every_arm_seed_and_generation(group, cut):
    found = sheet(group, cut)
    assert_places(found, group)
    assert found.generations == (cut.generations or (0, 1, 2))
    assert [(line.arm.name, line.seed) for line in found.lines] == [(arm.name, s) for arm in group.arms for s in cut.seeds or (0,)]


def test_three_channels(tmp_path):
    group = groups(make(tmp_path, colour_splits(), generations=1, metrics=()))[0]
    found = sheet(group, Cut(("z", "1")))
    assert found.conditions == ("x", "z")
    assert_places(found, group)


def test_rows_are_the_first_of_each_class_and_of_many_classes_some():
    pool = Pool.of(np.zeros((40, 2, 2, 1), np.uint8), np.arange(40) % 4)
    np.testing.assert_array_equal(rows_shown(pool, "wxyz", (), 2), [0, 1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(rows_shown(pool, "wxyz", ("3", "x", "x"), 2), [1, 3, 5, 7])
    many = Pool.of(np.zeros((90, 2, 2, 1), np.uint8), np.array([f"a thing {i:02d}" for i in range(90)]))
    assert len(rows_shown(many, (), (), 3)) == 20
    np.testing.assert_array_equal(rows_shown(many, (), ("a thing 07", "a thing 03"), 1), [3, 7])
    with pytest.raises(BadInput, match="No sample has the prompt 'thing'. There are: a thing 00, .*, and 50 more"):
        rows_shown(many, (), ("thing",), 1)


def test_a_name_goes_before_a_number():
    pool = Pool.of(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4) % 2)
    np.testing.assert_array_equal(rows_shown(pool, ("1", "0"), ("1",), 1), [0])


def test_an_arm_that_has_not_come_so_far_says_so_and_keeps_its_place(tmp_path):
    data = gaussian_splits(20, 6)
    long = make(tmp_path / "a", data, names=("long", "b", "c"), generations=2, metrics=())[:1]
    short = make(tmp_path / "b", data, names=("a", "short", "c"), generations=1, metrics=())[1:2]
    group = groups(long + short)[0]
    found = sheet(group)
    assert [line.arm.name for line in found.lines] == ["long", "short"]
    (x, y), shape = found.corners[1][3], np.asarray(found.image).shape
    assert (np.asarray(found.image)[y + 1 : y + 4, x + 1 : x + 4] == 255).all()
    assert tuple(np.asarray(found.image)[y, x]) == (0xB9, 0xBE, 0xC4)
    assert shape[1] > x
    assert_places(sheet(group, Cut(generations=(0, 1))), group)


def test_a_seed_that_one_arm_lacks_is_not_run_there(group):
    some = groups(
        [(arm.name, run.chain, group.data) for arm in group.arms for run in arm.runs if (arm.name, run.seed) != ("accumulate", 3)]
    )[0]
    found = sheet(some, Cut(seeds=(3,)))
    assert [line.run is None for line in found.lines] == [arm.name == "accumulate" for arm in some.arms]


def test_samples_in_another_order_show_the_same_classes():
    rows = np.array([0, 1, 2, 3])
    pool = Pool.of(np.zeros((6, 2, 2, 1), np.uint8), np.array([0, 0, 0, 0, 1, 1]))
    np.testing.assert_array_equal(at_places(pool, rows, np.array([0, 1, 0, 1])), [0, 4, 1, 5])
    np.testing.assert_array_equal(at_places(pool, rows, np.array([1, 1, 1, 0])), [4, 5, -1, 0])
    np.testing.assert_array_equal(at_places(pool.take([0, 4]), rows, np.array([0, 1, 0, 1])), [0, 1, -1, -1])


def test_a_round_with_prompts_of_its_own_shows_its_own_first_rows():
    rows, asked = np.array([0, 2, 4, 6]), np.array(["cat", "dog", "owl", "bee"])
    pool = Pool.of(np.zeros((4, 2, 2, 1), np.uint8), np.array(["bat", "bat", "eel", "eel"]))
    assert asked_anew(pool, asked)
    np.testing.assert_array_equal(at_places(pool, rows, asked), [0, 2, 1, 3])
    np.testing.assert_array_equal(at_places(pool.take([0, 2]), rows, asked), [0, 1, -1, -1])
    assert not asked_anew(pool, np.array(["bat", "eel", "owl"])), "most of them are there"
    assert not asked_anew(pool.take([0, 2]), np.array([5, 6])), "classes are no prompts"


def test_prompts_are_written_in_letters_that_the_font_has():
    assert without_accents("piñata, crème brûlée") == "pinata, creme brulee"


def test_rows_in_another_order_are_said(tmp_path):
    data = gaussian_splits(20, 6)
    runs = make(tmp_path, data, names=("a", "b", "c"), generations=1, metrics=())
    group = groups(runs)[0]
    other = group.arms[1].shown.generations[1]
    turned = Pool.of(Source(other.samples.images[:]), other.samples.condition[::-1].copy(), 1)
    before = np.asarray(sheet(group).image).shape
    object.__setattr__(other, "samples", turned)
    found = sheet(group)
    assert np.asarray(found.image).shape[0] > before[0]
    image = turned.images[[1]][0]
    np.testing.assert_array_equal(tile(found, 1, 2, 0, image.shape)[..., :1], image)


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        (Cut(("c",)), "No sample has the class 'c'. There are: a, b."),
        (Cut(seeds=(1,)), "No arm was run at seed 1. There are: 0, 3."),
        (Cut(generations=(0, 9)), "No run has a generation 9; there are 0 to 2."),
        (Cut(rows=0), "--rows must be at least 1, but is 0."),
        (Cut(scale=0), "--scale must be at least 1, but is 0."),
    ],
)
def test_mistakes_are_answered_with_what_there_is(group, cut, says):
    with pytest.raises(BadInput, match=says):
        sheet(group, cut)


def test_large_images_are_shrunk_unless_a_scale_is_given(tmp_path):
    data = gaussian_splits(4, 130)
    loop = Loop.at(tmp_path / "run", gaussian_recipe(4), data)
    list(loop.run(0))
    group = groups([("run", loop.chain, data)])[0]
    assert sheet(group).image.width < sheet(group, Cut(scale=1)).image.width
    assert_places(sheet(group, Cut(scale=1)), group)
