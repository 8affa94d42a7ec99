"""Plain data: every picture as a viewer shows it, or one error that names the file and the remedy."""

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from germline.core.errors import BadInput
from germline.core.splits import NAMES
from germline.data import load_images, splits_of
from germline.data.pictures import Unreadable, decode


def picture(seed=0, shape=(8, 8, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(path, **options)
    return path


@pytest.fixture
def classes(tmp_path):
    """Twelve pictures of each of two classes."""
    for label, name in enumerate(("cat", "dog")):
        for number in range(12):
            save(tmp_path / "set" / name / f"{number:02d}.png", picture(100 * label + number))
    return tmp_path / "set"


def test_class_folders(classes):
    (classes / "cat" / "Thumbs.db").write_bytes(b"no picture")
    (classes / ".hidden").mkdir()
    save(classes / ".hidden" / "x.png", picture())
    found = load_images(classes)
    assert found.classes == ("cat", "dog")
    np.testing.assert_array_equal(found.conditions, np.repeat([0, 1], 12))
    np.testing.assert_array_equal(found.images[13], picture(101))


def test_splits_of_is_balanced_and_disjoint(classes):
    splits = splits_of(classes)
    assert [len(getattr(splits, name)) for name in NAMES] == [4, 6, 10, 4]
    rows = np.concatenate([getattr(splits, name).columns["dataset_row"] for name in NAMES])
    assert len(np.unique(rows)) == 24
    assert len(splits_of(classes, real=8).real) == 8
    with pytest.raises(BadInput, match=r"class 'cat' has 12 images, too few for four splits with 11 of them in R.*smaller --real"):
        splits_of(classes, real=22)


def test_flat_folder(tmp_path):
    save(tmp_path / "a.png", picture(1))
    save(tmp_path / "b.jpg", picture(2))
    found = load_images(tmp_path)
    assert found.classes == ("all",)
    assert found.conditions.tolist() == [0, 0]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_metadata_with_labels(tmp_path, ending):
    for name in ("a", "b", "c"):
        save(tmp_path / f"{name}.png", picture(ord(name)))
    rows = [("c.png", "dog"), ("a.png", "cat"), ("b.png", "dog")]
    if ending == "csv":
        text = "file_name,label\n" + "".join(f"{name},{label}\n" for name, label in rows)
    else:
        text = "".join(json.dumps({"file_name": name, "label": label}) + "\n" for name, label in rows)
    (tmp_path / f"metadata.{ending}").write_text(text)
    found = load_images(tmp_path)
    assert found.classes == ("cat", "dog")
    assert found.conditions.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found.images[0], picture(ord("c")))


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("name", ["text", "prompt", "caption"])
def test_a_caption_is_called_text_else_prompt_else_caption(tmp_path, name, ending):
    later = {"text": ["prompt", "caption"], "prompt": ["caption"], "caption": []}[name]
    record = {**dict.fromkeys(later, "another"), name: "a cat"}
    save(tmp_path / "a.png", picture(0))
    if ending == "jsonl":
        (tmp_path / "metadata.jsonl").write_text(json.dumps({**record, "file_name": "a.png"}))
    elif ending == "csv":
        (tmp_path / "metadata.csv").write_text(f"text,{','.join(record)},file_name\n,{','.join(record.values())},a.png\n")
    else:
        pq.write_table(pa.Table.from_pylist([{"image": (tmp_path / "a.png").read_bytes(), **record}]), tmp_path / "a.parquet")
    found = load_images(tmp_path / "a.parquet" if ending == "parquet" else tmp_path)
    assert found.conditions.tolist() == ["a cat"]


def test_metadata_with_prompts_gives_text_conditions_in_every_split(tmp_path):
    for number in range(24):
        save(tmp_path / f"{number}.png", picture(number))
    lines = [json.dumps({"file_name": f"{n}.png", "text": f"prompt {n}"}) for n in range(24)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    splits = splits_of(tmp_path)
    assert splits.classes == ()
    for name in NAMES:
        pool = getattr(splits, name)
        for text, image in zip(pool.condition, pool.images[:], strict=True):
            np.testing.assert_array_equal(image, picture(int(text.split()[1])))


@pytest.mark.parametrize("folder", ["", "dogs"])
def test_captions_beside_the_pictures_give_text_conditions(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    for number in range(24):
        save(tmp_path / folder / f"{number:02}.png", picture(number))
        (tmp_path / folder / f"{number:02}.txt").write_text(f"\ufeffa dog,\nnumber {number}\n", encoding="utf-8")
    (tmp_path / "readme.txt").write_text("belongs to no picture")
    splits = splits_of(tmp_path)
    assert splits.classes == ()
    for name in NAMES:
        pool = getattr(splits, name)
        for text, image in zip(pool.condition, pool.images[:], strict=True):
            assert text.startswith("a dog, number ")
            np.testing.assert_array_equal(image, picture(int(text.split()[-1])))


def test_captions_do_not_join_train_and_test(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        save(tmp_path / part / "a.png", picture())
        (tmp_path / part / "a.txt").write_text("a dog")
    with pytest.raises(BadInput, match="is divided into test, train; name one of them"):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("caption", "what"),
    [
        (None, r"b.png has no caption, but 1 of 2 pictures have one; write .*b.txt, or remove the picture"),
        (b" \n", r"b.txt is empty; write the caption of b.png into it"),
        (b"\xff\xfea", r"b.txt is not text in UTF-8 \(invalid start byte at byte 0\)"),
    ],
)
def test_bad_captions_are_named(tmp_path, caption, what):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png", picture(ord(name)))
    (tmp_path / "a.txt").write_text("a dog")
    if caption is not None:
        (tmp_path / "b.txt").write_bytes(caption)
    with pytest.raises(BadInput, match=what):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "line 1 is not JSON"),
        ('{"name": "a.png"}', "line 1 needs file_name"),
        ('{"file_name": "a.png", "label": 1.5}', "label must be a class number or name"),
        ('{"file_name": "absent.png"}', r"absent.png: it cannot be opened \(No such file"),
        ('{"file_name": "a.png", "label": -1}', r"a.png: label -1 is out of range"),
        ('{"file_name": "a.png", "label": 0}\n{"file_name": "a.png"}', "has no label"),
        ('{"file_name": "a.png", "text": "x"}\n{"file_name": "a.png"}', "has no text"),
        ('{"file_name": "a.png", "text": "x"}\n{"file_name": "a.png", "text": " "}', "has no text"),
        ('{"file_name": "a.png", "label": 0}\n{"file_name": "a.png", "label": "x"}', "some labels are numbers and some are names"),
    ],
)
def test_bad_metadata_is_named(tmp_path, line, what):
    save(tmp_path / "a.png", picture())
    (tmp_path / "metadata.jsonl").write_text(line)
    with pytest.raises(BadInput, match=what):
        load_images(tmp_path)


def test_metadata_saved_by_a_spreadsheet_or_in_another_encoding(tmp_path):
    save(tmp_path / "ä.png", picture())
    (tmp_path / "metadata.csv").write_bytes("file_name,label\nä.png,3\n".encode("utf-8-sig"))
    assert load_images(tmp_path).conditions.tolist() == [3]
    (tmp_path / "metadata.csv").write_bytes("file_name,label\nä.png,3\n".encode("latin-1"))
    with pytest.raises(BadInput, match=r"metadata.csv is not text in UTF-8 \(.*byte 16\)"):
        load_images(tmp_path)


def test_npz_npy(tmp_path):
    images = picture(0, (6, 5, 7, 3))
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(6) % 3)
    found = load_images(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.images, images)
    assert found.classes == ("0", "1", "2")
    np.save(tmp_path / "a.npy", images[..., 0])
    mapped = load_images(tmp_path / "a.npy").images
    assert isinstance(mapped.base if not isinstance(mapped, np.memmap) else mapped, np.memmap)
    np.testing.assert_array_equal(mapped, images[..., :1])
    assert load_images(tmp_path / "a.npz", size=4).images.shape == (6, 4, 4, 3)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"x": np.zeros(3)}, r"must hold the array images.*holds \['x'\]"),
        ({"images": np.zeros((3, 4, 4))}, "must be uint8.*Scale them to 0..255"),
        ({"images": np.zeros((3, 3, 4, 4), np.uint8)}, "put channels last"),
        ({"images": np.zeros((0, 4, 4), np.uint8)}, "holds no images"),
        ({"images": np.zeros((3, 4, 4), np.uint8), "labels": np.zeros(2, int)}, "labels must be 3 integers"),
        (
            {"images": np.zeros((3, 4, 4), np.uint8), "labels": np.array([0, 1, 7]), "classes": np.array(["a", "b"])},
            "row 2: label 7",
        ),
        ({"images": np.zeros((3, 4, 4), np.uint8), "labels": np.array([0, -1, 1])}, "row 1: label -1 is out of range"),
    ],
)
def test_bad_npz_is_named(tmp_path, arrays, what):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match=what):
        load_images(tmp_path / "a.npz")


def test_arrays_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match=r"a.npy is not a readable .npy"):
        load_images(tmp_path / "a.npy")


def test_parquet_of_structs_and_of_bytes(tmp_path):
    path = save(tmp_path / "x.png", picture(3))
    data = path.read_bytes()
    structs = [{"bytes": data, "path": None}, {"bytes": None, "path": "x.png"}]
    pq.write_table(pa.table({"image": structs, "label": [1, 0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"picture": [data], "text": ["a cat"]}), tmp_path / "b.parquet")
    found = load_images(tmp_path / "a.parquet")
    for image in found.images:
        np.testing.assert_array_equal(image, picture(3))
    assert found.conditions.tolist() == [1, 0]
    assert load_images(tmp_path / "b.parquet").conditions.tolist() == ["a cat"]
    pq.write_table(pa.table({"x": [1]}), tmp_path / "c.parquet")
    with pytest.raises(BadInput, match=r"needs an image column.*but has \['x'\]"):
        load_images(tmp_path / "c.parquet")
    (tmp_path / "d.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match="not a readable Parquet"):
        load_images(tmp_path / "d.parquet")


def test_different_sizes_name_two_files_and_the_flag(tmp_path):
    save(tmp_path / "a.png", picture())
    save(tmp_path / "b.png", picture(0, (8, 9, 3)))
    with pytest.raises(BadInput, match=r"a.png is 8 x 8 and .*b.png is 9 x 8 .*--size"):
        load_images(tmp_path)
    assert load_images(tmp_path, size=6).images.shape == (2, 6, 6, 3)


def test_size_keeps_the_centre_and_does_not_alias():
    stripes = np.zeros((64, 128), np.uint8)
    stripes[:, 32:96:2] = 255  # every second column of the central square
    image = Image.fromarray(stripes)
    out = decode(_png(image), 16)[..., 0]
    assert out.shape == (16, 16)
    assert np.abs(out[:, 2:-2].astype(int) - 127).max() <= 2


def _png(image, **options):
    import io

    file = io.BytesIO()
    image.save(file, options.pop("format", "PNG"), **options)
    return file.getvalue()


def test_nasty_but_good_pictures_are_shown_as_a_viewer_shows_them():
    grey = picture(1, (8, 8))
    colour = picture(2)
    sixteen = grey.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode(_png(Image.fromarray(sixteen)))[..., 0], grey)
    np.testing.assert_array_equal(decode(_png(Image.fromarray(sixteen), format="TIFF"))[..., 0], grey)
    np.testing.assert_array_equal(decode(_png(Image.fromarray(grey > 127)))[..., 0], np.where(grey > 127, 255, 0))
    flat = Image.fromarray(np.full((8, 8, 3), (200, 30, 60), np.uint8))
    cmyk = decode(_png(flat.convert("CMYK"), format="JPEG", quality=100))
    assert np.abs(cmyk.astype(int) - (200, 30, 60)).max() <= 3
    palette = Image.fromarray(np.full((8, 8, 3), (10, 20, 30), np.uint8)).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(decode(_png(palette)), np.full((8, 8, 3), (10, 20, 30)))
    over = np.dstack([colour, np.zeros((8, 8), np.uint8)])
    over[:4, :, 3] = 255
    composited = decode(_png(Image.fromarray(over)))
    np.testing.assert_array_equal(composited[:4], colour[:4])
    assert (composited[4:] == 255).all()
    grey_alpha = decode(_png(Image.fromarray(np.dstack([grey, np.full((8, 8), 255, np.uint8)]))))
    np.testing.assert_array_equal(grey_alpha[..., 0], grey)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    np.testing.assert_array_equal(decode(_png(Image.fromarray(colour), exif=exif)), np.rot90(colour, -1))
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    animated = decode(_png(frames[0], format="GIF", save_all=True, append_images=frames[1:]))
    assert (animated == 10).all()


def test_pictures_that_cannot_be_used_say_why():
    whole = _png(Image.fromarray(picture(0, (64, 64, 3))))
    for data, why in (
        (b"", "0 bytes"),
        (whole[: len(whole) // 2], "damaged"),
        (b"<html>not found</html>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "not a picture"),
        (_png(Image.fromarray(np.ones((4, 4), np.float32)), format="TIFF"), "floating-point"),
        (_png(Image.fromarray(np.array([[0, 1 << 20]], np.int32)), format="TIFF"), "whose scale is unknown"),
        (_png(Image.new("1", (20_000, 20_000))), "claims more than"),
        (_png(Image.new("1", (10_000, 10_000))), "claims more than"),
    ):
        with pytest.raises(Unreadable, match=why):
            decode(data)


def test_the_nasty_folder(tmp_path):
    folder = tmp_path / "set"
    good = save(folder / "a.png", picture(1))
    (folder / "really-a-png.jpg").write_bytes(good.read_bytes())
    save(folder / "two\nlines.png", picture(2))
    save(folder / "grey.png", picture(3, (8, 8)))
    (folder / "notes.txt").write_text("ignored")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.png")
    assert len(load_images(folder).images) == 4
    (folder / "empty.png").touch()
    (folder / "cut\nshort.png").write_bytes(good.read_bytes()[:60])
    (folder / "gone.png").symlink_to(folder / "absent.png")
    with pytest.raises(BadInput, match=r"cut\\nshort.png'?: it is damaged.*--skip-bad"):
        load_images(folder)
    found = load_images(folder, skip_bad=True)
    assert [os.path.basename(name)[:8] for name, _ in found.skipped] == ["cut\\nsho", "empty.pn", "gone.png"]
    assert len(found.images) == 4
    assert "\n" not in "".join(name + why for name, why in found.skipped)
    grey = next(image for image in found.images if (image == picture(3, (8, 8))[..., None]).all())
    assert grey.shape == (8, 8, 3)


def test_folders_that_make_no_sense_are_named(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="holds no readable pictures"):
        load_images(tmp_path)
    (tmp_path / "x.zip").touch()
    with pytest.raises(BadInput, match="is of no known kind"):
        load_images(tmp_path / "x.zip")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.png").touch()
    with pytest.raises(BadInput, match=r"all 1 are unreadable, the first is .*a.png: the file is empty"):
        load_images(tmp_path / "bad", skip_bad=True)
    save(tmp_path / "mixed/a.png", picture())
    save(tmp_path / "mixed/cat/b.png", picture())
    with pytest.raises(BadInput, match=r"holds pictures itself \('a.png'\) and in sub-folders \('cat'\)"):
        load_images(tmp_path / "mixed")
    save(tmp_path / "parts/train/cat/b.png", picture())
    save(tmp_path / "parts/test/cat/b.png", picture())
    with pytest.raises(BadInput, match=r"is divided into test, train; name one of them, such as .*train"):
        load_images(tmp_path / "parts")
    with pytest.raises(BadInput, match="--size must be at least 1"):
        load_images(tmp_path / "parts/train", size=0)
    with pytest.raises(BadInput, match=r"class 'cat' has 1 images, too few for four splits"):
        splits_of(tmp_path / "parts/train")
