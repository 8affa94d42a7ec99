"""Emoji: the embedded part, the join of packages on a small made-up set, splits by family, captions; the real packages where they are."""

import io
import json
import os
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from germline.core import digest
from germline.core.errors import BadInput, GermlineError
from germline.core.splits import NAMES
from germline.data import emoji, emoji_files, export, load_images
from germline.data.emoji import caption, family, split_of
from germline.data.emoji_files import CAPTIONS, EMBEDDED, STYLES, WHOLE, hexcode, load
from germline.registry import DataFlags

ARCHIVES = os.environ.get("GERMLINE_TEST_ARCHIVES")
needs_archives = pytest.mark.skipif(
    not ARCHIVES or not (Path(ARCHIVES) / CAPTIONS.file).is_file(), reason="set GERMLINE_TEST_ARCHIVES to a folder with the emoji packages"
)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("GERMLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def both():
    return load(("fluent", "noto"))


def test_the_embedded_part_is_the_committed_file_with_its_licences(both):
    assert digest.of_file(EMBEDDED) == "007f7aaeb1c2276d0ef0e5ef6fb501dcc2e21577fac0d1f17deea9ae10c1f442"
    assert EMBEDDED.stat().st_size < 8_000_000
    text = EMBEDDED.with_name("LICENSE-emoji.txt").read_text()
    for owner in ("Microsoft", "Google LLC", "Unicode, Inc.", "Miles Johnson", "CC-BY 4.0", "UNICODE LICENSE V3", "Apache License"):
        assert owner in text
    assert both.images.shape == (1_599 + 1_636, 32, 32, 3)
    assert Counter(both.styles) == {"fluent": 1_599, "noto": 1_636}
    assert len({told.label for told in both.captions}) == 1_636


@pytest.mark.parametrize(
    ("label", "channel"), [("red heart", 0), ("green heart", 1), ("blue heart", 2), ("red apple", 0), ("green apple", 1)]
)
def test_pictures_show_what_their_captions_say(both, label, channel):
    rows = [row for row, told in enumerate(both.captions) if told.label == label]
    assert len(rows) == 2
    for row in rows:
        middle = both.images[row, 12:24, 10:22].reshape(-1, 3).mean(0)
        assert middle.argmax() == channel
        assert (both.images[row, 0, 0] == 255).all()  # laid on white


def test_splits_are_fixed_and_no_caption_or_family_crosses():
    data = emoji(styles=("fluent", "noto"))
    assert data.classes == ()
    assert data.image_shape == (32, 32, 3)
    families = {}
    drawn = load(("fluent", "noto"))
    for name in NAMES:
        pool = getattr(data, name)
        codes = [drawn.hexcodes[row] for row in pool.columns["dataset_row"]]
        assert {split_of(code) for code in codes} == {name}
        families[name] = {family(code) for code in codes} | set(pool.condition.tolist())
        for row in range(0, len(pool), 100):
            there = int(pool.columns["dataset_row"][row])
            np.testing.assert_array_equal(pool.images[[row]][0], drawn.images[there])
            assert pool.condition[row] == drawn.captions[there].label
    assert sum(map(len, families.values())) == len(set.union(*families.values()))
    assert len(np.unique(np.concatenate([getattr(data, name).columns["dataset_row"] for name in NAMES]))) == 3_235
    one = emoji()
    assert set(one.held_out.condition) <= set(data.held_out.condition)
    assert {name: len(getattr(one, name)) for name in NAMES} == {"real": 646, "reserve": 264, "judge": 453, "held_out": 236}
    assert one.digest == "39af7e51670d3f52d4fac11423c43da283956665a7dd14da11db0627520c7814"


def test_a_family_is_what_is_drawn_alike():
    runner = {"1f3c3", "1f3c3-200d-2640", "1f3c3-200d-2642", "1f3c3-200d-27a1", "1f3c3-200d-2642-200d-27a1"}
    assert {family(code) for code in runner} == {"1f3c3"}
    assert family("1f468-200d-1f692") == family("1f469-200d-1f692") == "1f692"
    assert family("1f468") == family("1f469") == "person"
    assert family("1f34e") != family("1f34f")


def test_sizes_take_the_first_rows_of_each_split():
    whole, few = emoji(), emoji(sizes={"real": 50, "judge": 20})
    assert (len(few.real), len(few.reserve), len(few.judge)) == (50, len(whole.reserve), 20)
    assert few.real.condition.tolist() == whole.real.condition[:50].tolist()
    np.testing.assert_array_equal(few.judge.images[:], whole.judge.images[np.arange(20)])
    assert len(DataFlags("emoji", real=30).load().real) == 30
    with pytest.raises(BadInput, match=r"emoji in fluent has real \d+, .*, but judge 5000 was asked for. Give fewer."):
        emoji(sizes={"judge": 5_000})


def test_forms_of_captions(both):
    row = next(row for row, told in enumerate(both.captions) if told.label == "cat" and both.styles[row] == "noto")
    assert caption(both, row, "label") == "cat"
    assert caption(both, row, "styled") == "noto emoji of cat"
    lengths = set()
    for row, told in enumerate(both.captions[:300]):
        if "," not in told.label:
            label, *tags = caption(both, row, "tagged").split(", ")
            assert label == told.label
            assert set(tags) <= set(told.tags) - {told.label}
            assert len(set(tags)) == len(tags)
            lengths.add(len(tags))
    assert lengths in ({1, 2}, {0, 1, 2})
    tagged = [caption(both, row, "tagged") for row in range(100)]
    assert tagged == [caption(both, row, "tagged") for row in range(100)]
    assert emoji(captions="tagged").digest != emoji().digest
    with pytest.raises(BadInput, match="'label', 'styled' or 'tagged', but 'long' was asked for"):
        emoji(captions="long")


def test_an_exported_split_opens_with_its_captions(tmp_path):
    data = emoji(sizes={"real": 5})
    export(data.real, data.classes, tmp_path / "out")
    back = load_images(tmp_path / "out")
    assert back.conditions.tolist() == data.real.condition.tolist()
    np.testing.assert_array_equal(back.images, data.real.images[:])


def test_wrong_questions_are_answered():
    with pytest.raises(BadInput, match="styles fluent, noto, twemoji, emojione, but was asked for 'apple'"):
        emoji(styles=("apple",))
    with pytest.raises(BadInput, match="each once"):
        emoji(styles=("noto", "noto"))
    with pytest.raises(BadInput, match="from 8 to 64, but is 128"):
        emoji(size=128)
    with pytest.raises(
        GermlineError, match=r"(?s)style twemoji .* npm pack emoji-datasource-twitter@16.0.0 emojibase-data@17.0.0.*--where"
    ):
        emoji(whole=True)


# A small made-up set in the packages' layout.

RECORDS = [
    {"label": "red heart", "hexcode": "2764-FE0F", "tags": ["love"], "group": 0},
    {"label": "waving hand", "hexcode": "1F44B", "group": 1, "skins": [{"label": "x", "hexcode": "1F44B-1F3FB", "group": 1, "tone": 1}]},
    {"label": "toned", "hexcode": "1F44C", "group": 1, "tone": 2},
    {"label": "flag: Chad", "hexcode": "1F1F9-1F1E9", "group": 9},
    {"label": "red hair", "hexcode": "1F9B0", "group": 2},
    {"label": "regional indicator A", "hexcode": "1F1E6"},
    {"label": "eye", "hexcode": "1F441-FE0F", "group": 1},
]


def png(color, mode="RGBA", shape=(64, 64)):
    file = io.BytesIO()
    Image.new(mode, shape, color).save(file, "PNG")
    return file.getvalue()


def packed(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return digest.of_file(path)


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    folder = tmp_path / "packages"
    folder.mkdir()
    captions = packed(folder / CAPTIONS.file, {emoji_files.DATA: json.dumps(RECORDS).encode()})
    monkeypatch.setattr(emoji_files, "CAPTIONS", replace(CAPTIONS, sha256=captions))
    base = STYLES["noto"].folder
    pictures = {
        "2764": png((255, 0, 0, 128)),  # half transparent, under its name without the selector
        "1f44b-1f3fb": png((9, 9, 9, 255)),
        "1f44b": png(40, "L", (64, 66)),  # grey, not quite square
        "1f1f9-1f1e9": png((1, 1, 1, 255)),
        "1f9b0": png((1, 1, 1, 255)),
        "1f1e6": png((1, 1, 1, 255)),
        "1f441": png((0, 0, 255, 255)),  # drawn twice: the name without the selector counts
        "1f441-fe0f": png((0, 255, 0, 255)),
        "beef": png((1, 1, 1, 255)),
    }
    files = {f"{base}{name}.png": data for name, data in pictures.items()} | {"package/img/google/sheets/64.png": b"not read"}
    found = packed(folder / STYLES["noto"].file, files)
    monkeypatch.setattr(emoji_files, "STYLES", {**STYLES, "noto": replace(STYLES["noto"], sha256=found)})
    return folder


def test_packages_are_joined_by_hexcode_and_filtered(made_up):
    drawn = load(("noto",), 16, made_up)
    assert drawn.hexcodes == ("1f441", "1f44b", "2764")
    assert [told.label for told in drawn.captions] == ["eye", "waving hand", "red heart"]
    assert drawn.captions[2].tags == ("love",)
    assert drawn.images.shape == (3, 16, 16, 3)
    for row, colour in enumerate([(0, 0, 255), (40, 40, 40), (255, 127, 127)]):
        assert np.abs(drawn.images[row].astype(int) - colour).max() <= 1


def test_packages_beside_us_are_kept_in_the_cache(made_up, tmp_path, monkeypatch):
    monkeypatch.chdir(made_up)
    first = load(("noto",), 16)
    monkeypatch.chdir(tmp_path)
    again = load(("noto",), 16)
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.hexcodes, first.captions) == (again.hexcodes, again.captions)
    kept = tmp_path / "cache" / "emoji-noto-16.npz"
    kept.write_bytes(kept.read_bytes()[:50])
    with pytest.raises(GermlineError, match="found neither"):  # made again where it can be, and missed where it cannot
        load(("noto",), 16)
    with pytest.raises(BadInput, match=f"holds no noto emoji: it should be a folder with {STYLES['noto'].file}"):
        load(("noto",), 16, tmp_path)


def test_another_package_is_refused(made_up):
    (made_up / STYLES["noto"].file).write_bytes(b"other")
    with pytest.raises(BadInput, match="has sha256"):
        load(("noto",), 16, made_up)


def test_hexcodes_agree():
    assert hexcode("2764-FE0F") == hexcode("2764") == "2764"
    assert hexcode("1f441-fe0f-200d_1f5e8-fe0f") == "1f441-200d-1f5e8"


@needs_archives
def test_the_packages_hold_4873_pictures_of_1636_captions():
    """Two emoji are drawn twice in the fluent style: 4,873 files are 4,871 pairs."""
    known = emoji_files.read_captions(Path(ARCHIVES) / CAPTIONS.file)
    files = Counter()
    for style, package in ((style, STYLES[style]) for style in WHOLE):
        with tarfile.open(Path(ARCHIVES) / package.file) as tar:
            stems = [Path(name).stem for name in tar.getnames() if name.startswith(package.folder) and name.endswith(package.ending)]
        files[style] = sum(hexcode(stem) in known for stem in stems)
    assert files == {"fluent": 1_601, "noto": 1_636, "twemoji": 1_636}
    drawn = load(WHOLE, 32, ARCHIVES)
    assert Counter(drawn.styles) == {"fluent": 1_599, "noto": 1_636, "twemoji": 1_636}
    assert len({told.label for told in drawn.captions}) == len(set(drawn.hexcodes)) == 1_636
    assert sum(count == 3 for count in Counter(drawn.hexcodes).values()) == 1_599


@needs_archives
def test_the_embedded_part_is_what_the_packages_give(both):
    drawn = load(("fluent", "noto"), 32, ARCHIVES)
    np.testing.assert_array_equal(drawn.images, both.images)
    assert (drawn.hexcodes, drawn.captions) == (both.hexcodes, both.captions)


@needs_archives
def test_the_same_emoji_in_another_size_and_style_lie_in_the_same_split():
    large, small = emoji(styles=("twemoji",), size=64, where=ARCHIVES), emoji(styles=("noto",))
    assert large.image_shape == (64, 64, 3)
    for name in NAMES:
        assert set(getattr(large, name).condition) == set(getattr(small, name).condition)
