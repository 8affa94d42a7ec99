"""Pools as shards: every file is a row or has a reason, whatever it is; equal content in every container is equal rows."""

import io
import json
import os
import tarfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from germline.core.errors import BadInput, GermlineError
from germline.data import npz
from germline.data.pictures import Unreadable
from germline.pools import shards_of
from germline.pools.blocks import Fit, blocks, image_of

FIT = Fit()


def picture(seed=0, shape=(8, 8, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def png(array, **options):
    file = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(file, options.pop("format", "PNG"), **options)
    return file.getvalue()


def rows_of(pool):
    return [row for shard in shards_of(str(pool)).shards for row in shard.rows()]


def outcome(pool):
    """id -> image, or the reason why there is none; files that are no rows are among them."""
    out = {}
    for row in rows_of(pool):
        try:
            out[row.id] = image_of(row, FIT)
        except Unreadable as reason:
            out[row.id] = str(reason)
    return out | dict(shards_of(str(pool)).skipped)


def tar_of(path, members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def bomb():
    """A PNG of a few hundred bytes that says it has 400 million pixels."""
    whole = bytearray(png(Image.new("1", (8, 8))))
    whole[16:24] = (20_000).to_bytes(4, "big") * 2
    import zlib

    whole[29:33] = zlib.crc32(bytes(whole[12:29])).to_bytes(4, "big")
    return bytes(whole)


def test_the_nasty_folder(tmp_path):
    folder = tmp_path / "nasty"
    (folder / "sub").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    good = {
        "cmyk.jpg": png(Image.fromarray(picture()).convert("CMYK"), format="JPEG"),
        "sixteen.png": png(Image.fromarray((np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8))),
        "alpha.png": png(np.zeros((8, 8, 4), np.uint8)),
        "turned.jpg": png(np.zeros((4, 8, 3), np.uint8), format="JPEG", exif=turned),
        "moving.gif": png(Image.new("P", (8, 8)), format="GIF", save_all=True, append_images=[Image.new("P", (8, 8), 1)]),
        "a\nb.png": png(picture()),
        "sub/wrong.jpg": png(picture(2)),
        "no_ending": png(picture(3)),
        "is_a_picture.txt": png(picture(4)),
    }
    bad = {
        "empty.png": b"",
        "bomb.png": bomb(),
        "cut.png": png(picture(5))[:60],
        "text.jpg": b"no picture at all",
        "notes.doc": b"words",
        "nothing": b"",
        ".hidden.png": png(picture()),
        "damaged.parquet": b"PAR1 no",
        "damaged.npz": b"PK no",
        "damaged.npy": b"\x93NUMPY no",
    }
    for name, content in {**good, **bad}.items():
        (folder / name).write_bytes(content)
    (folder / "cut.tar").write_bytes(b"no tar")
    (folder / "sub" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "to_itself.png").symlink_to(folder / "to_itself.png")
    (folder / "to_nothing.png").symlink_to(folder / "gone.png")
    os.mkfifo(folder / "pipe.png")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.png").write_bytes(png(picture()))
    with open(os.fsencode(folder) + b"/\xff.png", "wb") as file:
        file.write(png(picture(6)))
    reasons = {
        "empty.png": "0 bytes", "bomb.png": "pixels", "cut.png": "damaged", "text.jpg": "not a picture", "notes.doc": "no picture",
        "nothing": "0 bytes", ".hidden.png": "hidden", "damaged.parquet": "cannot be read", "damaged.npz": "cannot be read",
        "damaged.npy": "cannot be read", "cut.tar/": "cannot be read", "sub/loop": "read already", "to_itself.png": "cannot be opened",
        "to_nothing.png": "cannot be opened", "pipe.png": "no regular file", ".git": "hidden",
    }  # fmt: skip

    found = outcome(folder)

    assert set(found) == {*good, "\\xff.png", *reasons}
    for name in (*good, "\\xff.png"):
        assert isinstance(found[name], np.ndarray), f"{name}: {found[name]}"
    for name, reason in reasons.items():
        assert reason in found[name], name
    assert found["turned.jpg"].shape == (8, 4, 3)
    np.testing.assert_array_equal(found["alpha.png"], 255)
    np.testing.assert_array_equal(found["sub/wrong.jpg"], picture(2))
    assert len({row.uid for row in rows_of(folder)}) == len(rows_of(folder))


def test_the_same_rows_in_every_container(tmp_path):
    images, texts = [picture(seed) for seed in range(5)], [f"number {seed}" for seed in range(5)]
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, (image, text) in enumerate(zip(images, texts, strict=True)):
        (folder / f"{number}.png").write_bytes(png(image))
        (folder / f"{number}.txt").write_text(text)
    members = [(f"{n}.{kind}", data) for n in range(5) for kind, data in (("png", png(images[n])), ("txt", texts[n].encode()))]
    tar_of(tmp_path / "t.tar", members)
    tar_of(tmp_path / "t.tar.gz", members, "w:gz")
    struct = [{"bytes": png(image), "path": None} for image in images]
    pq.write_table(pa.table({"image": struct, "text": texts}), tmp_path / "p.parquet", row_group_size=2)
    np.save(tmp_path / "a.npy", np.stack(images))
    np.savez(tmp_path / "z.npz", images=np.stack(images), labels=np.arange(5))
    for name in ("folder", "t.tar", "t.tar.gz", "p.parquet", "a.npy", "z.npz"):
        rows = rows_of(tmp_path / name)
        np.testing.assert_array_equal([image_of(row, FIT) for row in rows], images, err_msg=name)
        if name[0] in "ftp" and name != "z.npz":
            assert [row.text for row in rows] == texts, name
    assert [row.label for row in rows_of(tmp_path / "z.npz")] == list(range(5))
    assert len(shards_of(str(tmp_path / "p.parquet")).shards) == 3
    assert [row.id for row in rows_of(tmp_path / "p.parquet")] == [f"p.parquet#{n}" for n in range(5)]
    every = shards_of(str(tmp_path))
    assert sum(len(list(shard.rows())) for shard in every.shards) == 30
    assert not every.skipped


def test_addresses(tmp_path):
    memory = fsspec.filesystem("memory")
    for number in range(3):
        memory.pipe(f"/pool/cat/{number}.png", png(picture(number)))
        memory.pipe(f"/pool/cat/{number}.txt", b"a cat")
    array = io.BytesIO()
    np.save(array, np.stack([picture(7), picture(8)]))
    memory.pipe("/pool/more.npy", array.getvalue())
    tar_of(tmp_path / "t.tar", [("0.png", png(picture(9)))])
    memory.pipe("/pool/t.tar", (tmp_path / "t.tar").read_bytes())
    rows = rows_of("memory://pool")
    by_id = {row.id: image_of(row, FIT) for row in rows}
    np.testing.assert_array_equal(by_id["cat/1.png"], picture(1))
    np.testing.assert_array_equal(by_id["more.npy#1"], picture(8))
    np.testing.assert_array_equal(by_id["t.tar/0"], picture(9))
    assert {row.text for row in rows if row.id.startswith("cat")} == {"a cat"}
    before = {shard.digest for shard in shards_of("memory://pool").shards}
    memory.pipe("/pool/t.tar", (tmp_path / "t.tar").read_bytes() + bytes(512))
    assert len({shard.digest for shard in shards_of("memory://pool").shards} - before) == 1
    with pytest.raises(BadInput, match="holds no files"):
        shards_of("memory://nothing-there")


def test_a_new_file_changes_few_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("germline.pools.folder.CUT", 10)
    for number in range(200):
        (tmp_path / f"{number:04d}.png").write_bytes(png(picture(number, (2, 2))))
    before = shards_of(str(tmp_path)).shards
    assert len(before) > 5
    assert [shard.stem for shard in shards_of(str(tmp_path)).shards] == [shard.stem for shard in before]
    (tmp_path / "0055b.png").write_bytes(png(picture(999, (2, 2))))
    after = shards_of(str(tmp_path)).shards
    assert len({shard.digest for shard in after} - {shard.digest for shard in before}) <= 2
    assert sum(shard.count for shard in after) == 201


@pytest.mark.parametrize("cut", [700, 1536, 2100])
def test_a_tar_that_was_cut_off_says_so(tmp_path, cut):
    whole = tar_of(tmp_path / "t.tar", [(f"{n}.png", png(picture(n))) for n in range(4)]).read_bytes()
    (tmp_path / "t.tar").write_bytes(whole[:cut])
    found = outcome(tmp_path / "t.tar")
    assert "t.tar/" in found
    assert "tar" in found["t.tar/"]


def test_what_a_tar_holds_besides_pictures(tmp_path):
    uid = "0123456789abcdef0123456789abcdef"
    members = [("a/1.jpg", png(picture(), format="JPEG")), ("a/1.json", json.dumps({"uid": uid, "caption": "one"}).encode()),
               ("2.json", b"{}"), ("3.cls", b"4"), ("3.png", png(picture(3)))]  # fmt: skip
    rows = rows_of(tar_of(tmp_path / "t.tar", members))
    assert [(row.id, row.text, row.label) for row in rows] == [("t.tar/a/1", "one", None), ("t.tar/2", "", None), ("t.tar/3", "", 4)]
    assert rows[0].uid == uid
    assert "no picture, only json" in rows[1].skipped


def test_embeddings_as_clip_retrieval_writes_them(tmp_path):
    for number, count in ((0, 3), (1, 2)):
        for folder in ("img_emb", "metadata", "text_emb"):
            (tmp_path / folder).mkdir(exist_ok=True)
        np.save(tmp_path / "img_emb" / f"img_emb_{number}.npy", np.full((count, 4), number, np.float16))
        np.save(tmp_path / "text_emb" / f"text_emb_{number}.npy", np.zeros((count, 4), np.float16))
        table = pa.table({"image_path": [f"{number}{i}" for i in range(count)], "caption": ["words"] * count})
        pq.write_table(table, tmp_path / "metadata" / f"metadata_{number}.parquet")
    opened = shards_of(str(tmp_path))
    assert [(shard.name, shard.count) for shard in opened.shards] == [("img_emb/img_emb_0.npy", 3), ("img_emb/img_emb_1.npy", 2)]
    np.testing.assert_array_equal(opened.shards[1].vectors(), np.ones((2, 4)))
    assert [row.id for row in opened.shards[1].rows()] == ["img_emb/img_emb_1.npy#0 10", "img_emb/img_emb_1.npy#1 11"]
    assert len(opened.companions) == 4
    assert not opened.skipped
    np.save(tmp_path / "img_emb" / "img_emb_1.npy", np.zeros((3, 4), np.float16))
    assert "as many as metadata" in dict(shards_of(str(tmp_path)).skipped)["img_emb/img_emb_1.npy"]


def test_metadata_of_an_exported_folder(tmp_path):
    for name in ("x", "y"):
        (tmp_path / f"{name}.png").write_bytes(png(picture()))
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "x.png", "text": "a tree"}\n{"file_name": "y.png", "label": 3, "class": "dog"}\n'
    )
    assert [(row.text, row.label) for row in rows_of(tmp_path)] == [("a tree", None), ("", "dog")]
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "x.png", "caption": "no", "prompt": "a fir"}\n{"file_name": "y.png", "caption": "a dog"}'
    )
    assert [row.text for row in rows_of(tmp_path)] == ["a fir", "a dog"]
    assert shards_of(str(tmp_path)).companions == ("metadata.jsonl",)


def test_blocks_are_of_one_shape_bounded_and_complete(tmp_path, monkeypatch):
    monkeypatch.setattr("germline.pools.blocks.BYTES", 2000)
    for number in range(40):
        (tmp_path / f"{number:02d}.png").write_bytes(png(picture(number, ((8, 8, 3), (4, 6, 3), (16, 16))[number % 3])))
    rows = rows_of(tmp_path)
    found = list(blocks(enumerate(rows), FIT, pytest.fail))
    assert sorted(place for block in found for place in block.places) == list(range(40))
    assert all(block.images.nbytes <= 2000 for block in found)
    for block in found:
        for place, image in zip(block.places, block.images, strict=True):
            np.testing.assert_array_equal(image, image_of(rows[place], FIT))
    square = list(blocks(enumerate(rows), Fit(4, 3), pytest.fail))
    assert {block.images.shape[1:] for block in square} == {(4, 4, 3)}


def test_damage_inside_of_containers(tmp_path):
    pq.write_table(pa.table({"image": [png(picture(n, (32, 32, 3))) for n in range(6)]}), tmp_path / "p.parquet", row_group_size=2)
    whole = bytearray((tmp_path / "p.parquet").read_bytes())
    place = pq.ParquetFile(tmp_path / "p.parquet").metadata.row_group(1).column(0).data_page_offset
    whole[place : place + 40] = b"\xff" * 40
    (tmp_path / "p.parquet").write_bytes(whole)
    found = outcome(tmp_path / "p.parquet")
    assert [name for name, what in found.items() if not isinstance(what, np.ndarray)] == ["p.parquet#2"]
    assert "row group 1" in found["p.parquet#2"]
    assert len(found) == 5
    np.save(tmp_path / "a.npy", np.zeros((9, 8, 8), np.uint8))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-10])
    assert "cut off" in dict(shards_of(str(tmp_path)).skipped)["a.npy"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_is_read_in_pieces(tmp_path, monkeypatch, save):
    monkeypatch.setattr(npz, "PIECE", 3 * 8 * 8)
    images = np.stack([picture(seed, (8, 8, 3)) for seed in range(10)])
    read, made = [], npz.rows
    monkeypatch.setattr(npz, "rows", lambda *arguments: (read.append(len(piece)) or piece for piece in made(*arguments)))
    for name, stored in (("c", images), ("f", np.asfortranarray(images))):
        save(tmp_path / f"{name}.npz", images=stored, labels=np.arange(10) % 2, classes=np.array(["a", "b"]))
        (shard,) = shards_of(str(tmp_path / f"{name}.npz")).shards
        rows = list(shard.rows())
        np.testing.assert_array_equal([row.pixels for row in rows], images)
        assert [row.label for row in rows] == ["a", "b"] * 5
    assert read == [1] * 10 + [10]  # columns that come first are no rows in order


def test_a_damaged_npz_says_so_and_keeps_no_row_to_itself(tmp_path):
    images = np.stack([picture(seed, (32, 32, 3)) for seed in range(10)])
    np.savez(tmp_path / "a.npz", images=images)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole.replace(images[7].tobytes()[:16], bytes(16)))
    (shard,) = shards_of(str(tmp_path / "a.npz")).shards
    assert "rows before may be damaged" in [*shard.rows()][-1].skipped
    (tmp_path / "a.npz").write_bytes(whole[:1000])
    np.savez(tmp_path / "b.npz", pictures=images)
    with pytest.raises(BadInput, match=r"of 2 files, the first is 'a.npz': it cannot be read"):
        shards_of(str(tmp_path))


def test_rows_of_an_array_elsewhere_are_fetched_alone():
    images, memory = np.stack([picture(seed, (8, 8, 3)) for seed in range(10)]), fsspec.filesystem("memory")
    file, vectors = io.BytesIO(), io.BytesIO()
    np.save(file, images)
    np.save(vectors, images.reshape(10, -1).astype(np.float32))
    memory.pipe("/arrays/a.npy", file.getvalue())
    memory.pipe("/arrays/v.npy", vectors.getvalue())
    pictures, embeddings = shards_of("memory://arrays").shards
    np.testing.assert_array_equal([row.pixels for row in pictures.rows()], images)
    found = embeddings.vectors()
    assert isinstance(found, np.memmap)  # its file has no name by now
    np.testing.assert_array_equal(found, images.reshape(10, -1))


def test_an_error_of_the_line_stops_and_skips_nothing(monkeypatch):
    memory = fsspec.filesystem("memory")
    memory.pipe("/line/0.png", png(picture()))
    (row,) = rows_of("memory://line")

    def broken(*_, **__):
        raise OSError("connection reset")

    monkeypatch.setattr(type(memory), "_open", broken)
    with pytest.raises(GermlineError, match="Run the same command"):
        image_of(row, FIT)


@pytest.mark.parametrize(
    "error, kind, words",
    [(FileNotFoundError("no such bucket"), BadInput, "does not exist"), (ValueError("who are you"), GermlineError, "who are you")],
)
def test_an_address_that_cannot_be_listed(monkeypatch, error, kind, words):
    def listed(self, *arguments, **more):
        raise error

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "find", listed)
    with pytest.raises(kind, match=words):
        shards_of("memory://nowhere")


def test_nothing_and_nothing_usable(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        shards_of(str(tmp_path / "gone"))
    (tmp_path / "x.doc").write_bytes(b"words")
    with pytest.raises(BadInput, match="x.doc"):
        shards_of(str(tmp_path))
