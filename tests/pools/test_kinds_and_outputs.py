"""Every kind of pool through score, select and audit's reading, and every kind of output read back: all say the same of the same images."""

import io
import json
import zipfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_shards import picture, png, tar_of

from germline.audit.inputs import inputs
from germline.audit.would import would
from germline.cli import main
from germline.core.errors import BadInput
from germline.data.pictures import decode
from germline.pools import density, shards_of
from germline.pools.blocks import Fit, image_of

N, SIDE = 24, 8
IMAGES = np.stack([picture(seed, (SIDE, SIDE, 3)) for seed in range(N)])
LABELS = np.arange(N) % 2
CLASSES = ("night", "day")  # not in the order of the alphabet


def enlarged(image):
    return png(np.asarray(Image.fromarray(image).resize((5 * SIDE, 5 * SIDE), Image.Resampling.BICUBIC)), format="BMP")


def seen(kind):
    """The images as they are when all are brought to one size: every third of the folder is a larger one."""
    images = IMAGES.copy()
    if kind == "folder":
        images[::3] = [decode(enlarged(image), SIDE) for image in IMAGES[::3]]
    return images


CALLS = []


def brightness(images, conditions):
    CALLS.append(len(images))
    return images.reshape(len(images), -1).mean(axis=1)


def of_folder(where):
    for number, image in enumerate(IMAGES):
        folder = where / CLASSES[LABELS[number]]
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{number:02d}.{'png' if number % 3 else 'bmp'}"
        (folder / name).write_bytes(png(image) if number % 3 else enlarged(image))
    return str(where)


def of_tars(where):
    where.mkdir()
    for start in (0, 10):
        rows = range(start, start + 10 if start == 0 else N)
        members = [
            (f"{n:02d}.{kind}", data)
            for n in rows
            for kind, data in (("png", png(IMAGES[n])), ("json", json.dumps({"class": CLASSES[LABELS[n]]}).encode()))
        ]
        tar_of(where / f"{start:02d}.tar", members)
    return str(where)


def of_parquet(where):
    where.mkdir()
    table = pa.table({"image": [{"bytes": png(image), "path": None} for image in IMAGES], "label": LABELS})
    about = {"info": {"features": {"label": {"names": list(CLASSES)}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), where / "x.parquet", row_group_size=10)
    return str(where / "x.parquet")


def of_npz(where):
    where.mkdir()
    np.savez(where / "x.npz", images=IMAGES, labels=LABELS, classes=np.array(CLASSES))
    return str(where / "x.npz")


def of_memory_map(where):
    where.mkdir()
    np.save(where / "x.npy", IMAGES)
    return str(where / "x.npy")


def of_address(where):
    memory = fsspec.filesystem("memory")
    for number, image in enumerate(IMAGES):
        memory.pipe(f"/kinds/{CLASSES[LABELS[number]]}/{number:02d}.png", png(image))
    return "memory://kinds"


def of_zip(where):
    where.mkdir()
    with zipfile.ZipFile(where / "x.zip", "w") as file:
        for number, image in enumerate(IMAGES):
            file.writestr(f"{CLASSES[LABELS[number]]}/{number:02d}.png", png(image))
    return f"zip://::{where / 'x.zip'}"


def of_embeddings(where):
    (where / "img_emb").mkdir(parents=True)
    (where / "metadata").mkdir()
    for part, rows in enumerate((slice(0, 10), slice(10, N))):
        np.save(where / "img_emb" / f"img_emb_{part}.npy", IMAGES[rows].reshape(-1, SIDE * SIDE * 3).astype(np.float32))
        table = pa.table({"image_path": [f"{n:02d}.png" for n in range(*rows.indices(N))]})
        pq.write_table(table, where / "metadata" / f"metadata_{part}.parquet")
    return str(where)


KINDS = {
    "folder": of_folder, "tars": of_tars, "parquet": of_parquet, "npz": of_npz, "memory map": of_memory_map, "address": of_address,
    "zip": of_zip, "embeddings": of_embeddings,
}  # fmt: skip
PICTURES = [kind for kind in KINDS if kind != "embeddings"]


@pytest.fixture
def pool(tmp_path, request):
    return KINDS[request.param](tmp_path / "pool")


def done(capsys, *arguments):
    code = main([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def number_of(identity):
    """The image's number, as far as the kind's ids tell it."""
    name = identity.rsplit("/", 1)[-1].rsplit(" ", 1)[-1]
    return int(name.rsplit("#", 1)[-1].split(".")[0])


def tables_of(out):
    return {number_of(row["id"]): row for path in (out / "rows").glob("*.parquet") for row in pq.read_table(path).to_pylist()}


def crowded(images):
    x = images.reshape(N, -1).astype(float)
    apart = np.sqrt(np.square(x[:, None] - x).sum(-1))
    return -np.sort(apart, axis=1)[:, density.K]


@pytest.mark.parametrize("pool", KINDS, indirect=True)
def test_score(pool, tmp_path, capsys, request):
    kind = request.node.callspec.params["pool"]
    vectors, images = kind == "embeddings", seen(kind)
    by = "density" if vectors else f"density:pixels,{__name__}:brightness"
    out = tmp_path / "out"
    told = done(capsys, "score", "--pool", pool, "--by", by, "--out", out, *(() if vectors else ("--size", SIDE)))
    assert (told["rows"], told["skipped"]) == (N, 0)
    table = tables_of(out)
    assert sorted(table) == list(range(N))
    np.testing.assert_allclose([table[n]["density"] for n in range(N)], crowded(images), rtol=1e-6)
    if not vectors:
        np.testing.assert_allclose([table[n]["brightness"] for n in range(N)], images.mean(axis=(1, 2, 3)))
    else:
        assert main(["score", "--pool", pool, "--by", f"{__name__}:brightness", "--out", str(out)]) == 1
        assert "holds embeddings only" in capsys.readouterr().err


@pytest.mark.parametrize("pool", KINDS, indirect=True)
def test_select_to_lists(pool, tmp_path, capsys, request):
    kind = request.node.callspec.params["pool"]
    vectors, images = kind == "embeddings", seen(kind)
    flags, out = () if vectors else ("--size", SIDE, "--extractor", "pixels"), tmp_path / "out"
    done(capsys, "select", "--pool", pool, "--n", 6, "--weigh", *flags, "--out", out)
    chosen = pq.read_table(out / "chosen.parquet").to_pylist()
    assert set(chosen[0]) == {"id", "uid", "shard", "row", "order", "score", "weight", "reason"}
    picks = [number_of(row["id"]) for row in chosen]
    x = images.reshape(N, -1).astype(float)
    owner = np.sqrt(np.square(x[:, None] - x[picks]).sum(-1)).argmin(axis=1)
    np.testing.assert_allclose([row["weight"] for row in chosen], np.bincount(owner, minlength=6) * 6 / N)
    assert sum(row["weight"] for row in chosen) == pytest.approx(6)
    assert "nearest to it" in chosen[0]["reason"]
    for row, before in ((row, [number_of(o["id"]) for o in chosen if o["order"] < row["order"]]) for row in chosen if row["order"]):
        assert row["score"] == pytest.approx(np.sqrt(np.square(x[number_of(row["id"])] - x[before]).sum(-1)).min(), rel=1e-6)
    uids = [f"{high:016x}{low:016x}" for high, low in np.load(out / "uids.npy")]
    assert uids == sorted(row["uid"] for row in chosen)
    best = done(
        capsys,
        "select",
        "--pool",
        pool,
        "--n",
        3,
        "--by",
        "top",
        "--score",
        f"density{'' if vectors else ':pixels'}",
        *flags[:2],
        "--out",
        out,
    )
    assert best["chosen"] == 3
    top = pq.read_table(out / "chosen.parquet").to_pylist()
    assert {number_of(row["id"]) for row in top} == set(np.argsort(-crowded(images), kind="stable")[:3].tolist())
    assert {row["weight"] for row in top} == {1.0}


@pytest.mark.parametrize("pool", PICTURES, indirect=True)
def test_select_to_pictures(pool, tmp_path, capsys, request):
    where = {flag: tmp_path / flag for flag in ("copy", "shards")}
    arguments = ("select", "--pool", pool, "--n", 5, "--by", "top", "--score", f"{__name__}:brightness", "--size", SIDE)
    done(capsys, *arguments, "--out", tmp_path / "out", *(part for flag, path in where.items() for part in (f"--{flag}", path)))
    kind = request.node.callspec.params["pool"]
    images = seen(kind)
    brightest = sorted(np.argsort(-images.mean(axis=(1, 2, 3)), kind="stable")[:5].tolist())
    lines = [json.loads(line) for line in (where["copy"] / "metadata.jsonl").read_text().splitlines()]
    assert sorted(number_of(line["id"]) for line in lines) == brightest
    for line in lines:
        copied, number = (where["copy"] / line["file_name"]).read_bytes(), number_of(line["id"])
        np.testing.assert_array_equal(decode(copied, SIDE), images[number])
        assert line.get("label") == (None if kind == "memory map" else CLASSES[LABELS[number]])
    again = [row for shard in shards_of(str(where["shards"])).shards for row in shard.rows()]
    assert [row.uid for row in again] == [line["uid"] for line in lines]
    for row, line in zip(again, lines, strict=True):
        np.testing.assert_array_equal(image_of(row, Fit(SIDE)), images[number_of(line["id"])])
    links = main([*map(str, arguments), "--out", str(tmp_path / "out"), "--link", str(tmp_path / "links")])
    if kind == "folder":
        assert links == 0
        assert {path.resolve().name[:2] for path in (tmp_path / "links" / "images").iterdir()} == {f"{n:02d}" for n in brightest}
    else:
        assert links == 1
        assert "nothing to link to" in capsys.readouterr().err


def test_what_score_made_is_read_back_by_select(tmp_path, capsys):
    pool, out = of_npz(tmp_path / "pool"), tmp_path / "out"
    done(capsys, "score", "--pool", pool, "--by", f"{__name__}:brightness", "--out", out)
    CALLS.clear()
    done(capsys, "select", "--pool", pool, "--n", 3, "--by", "top", "--score", f"{__name__}:brightness", "--out", out)
    assert not CALLS
    done(capsys, "select", "--pool", pool, "--n", 3, "--extractor", "pixels", "--keep-quantile", 0.9, "--out", out)
    before = {path: path.read_bytes() for path in (out / "rows").iterdir()}
    done(capsys, "score", "--pool", pool, "--by", "density:pixels", "--out", out)
    assert {path: path.read_bytes() for path in (out / "rows").iterdir()} == before  # the density that select made


def test_support_is_below_0_outside_of_the_real_rows(tmp_path, capsys):
    draw = np.random.default_rng(0)
    real, fresh = (np.clip(draw.normal(120, 12, (n, 6, 6)), 0, 255).astype(np.uint8) for n in (900, 100))
    np.savez(tmp_path / "real.npz", images=real)
    np.savez(tmp_path / "pool.npz", images=np.concatenate([fresh, fresh[:5] // 4]))
    flags = ("--real", tmp_path / "real.npz", "--out", tmp_path / "out")
    done(capsys, "score", "--pool", tmp_path / "pool.npz", "--by", "support:pixels,null=0.05", *flags)
    table = tables_of(tmp_path / "out")
    values = np.array([table[n]["support"] for n in range(105)])
    assert (values[100:] < -0.5).all()
    assert (values[:100] < 0).mean() < 0.2
    assert (values[:100] > -0.5).all()


def test_clusters_need_no_labels(tmp_path, capsys):
    draw = np.random.default_rng(0)
    for name, n in (("real", 300), ("pool", 40)):
        level = np.where(np.arange(n) % 2, 60, 190)[:, None, None]
        np.savez(tmp_path / f"{name}.npz", images=np.clip(draw.normal(level, 15, (n, 6, 6)), 0, 255).astype(np.uint8))
    labelled = np.load(tmp_path / "real.npz")["images"]
    np.savez(tmp_path / "real.npz", images=labelled, labels=np.arange(300) % 2, classes=np.array(CLASSES))
    flags = ("--real", tmp_path / "real.npz", "--out", tmp_path / "out")
    done(capsys, "score", "--pool", tmp_path / "pool.npz", "--by", "confidence:pixels,clusters=2", *flags)
    assert all(np.isfinite(row["confidence"]) for row in tables_of(tmp_path / "out").values())


def test_embeddings_have_no_pictures_to_write(tmp_path, capsys):
    arguments = [
        "select",
        "--pool",
        of_embeddings(tmp_path / "pool"),
        "--n",
        "5",
        "--out",
        str(tmp_path / "out"),
        "--copy",
        str(tmp_path / "c"),
    ]
    assert main(arguments) == 1
    assert "no pictures" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pool", PICTURES, indirect=True)
def test_audit_reads_the_same_rows(pool, tmp_path, request):
    kind = request.node.callspec.params["pool"]
    (tmp_path / "real").mkdir()
    rows = np.arange(48) // 2
    np.savez(tmp_path / "real" / "r.npz", images=IMAGES[rows], labels=LABELS[rows], classes=np.array(CLASSES))
    found = inputs(shards_of(str(tmp_path / "real" / "r.npz")), shards_of(pool), None, tmp_path / "work", SIDE)
    assert found.data.classes == CLASSES
    order = [number_of(name) for name in found.names]
    assert sorted(order) == list(range(N))
    np.testing.assert_array_equal(found.made.images[:], seen(kind)[order])
    np.testing.assert_array_equal(found.made.condition, -1 if kind == "memory map" else LABELS[order])
    splits = [found.data.real, found.data.judge, found.data.held_out]
    assert sorted(int(row) for split in splits for row in split.origin[:, 1]) == list(range(48))
    again = inputs(shards_of(str(tmp_path / "real" / "r.npz")), shards_of(pool), None, tmp_path / "work", SIDE)
    np.testing.assert_array_equal(again.made.images[:], found.made.images[:])


def test_labels_that_only_some_images_have_are_not_used(tmp_path):
    of_folder(tmp_path / "pool")
    (tmp_path / "pool" / "loose.png").write_bytes(png(IMAGES[0]))
    of_npz(tmp_path / "real")
    with pytest.warns(UserWarning, match="1 of 25 images have no label, so none is used"):
        found = inputs(shards_of(str(tmp_path / "real" / "x.npz")), shards_of(str(tmp_path / "pool")), None, tmp_path / "work", SIDE)
    assert (found.made.condition == -1).all()


def test_an_audit_of_embeddings_asks_for_pictures(tmp_path):
    embeddings = shards_of(of_embeddings(tmp_path / "pool"))
    with pytest.raises(BadInput, match="name the folder of them"):
        inputs(embeddings, embeddings, None, tmp_path / "work")
    with pytest.raises(BadInput, match="--near-duplicates"):
        would([embeddings], embeddings, None)


def test_a_killed_decoding_goes_on_where_it_was(tmp_path, monkeypatch):
    """Grey shards first, then coloured ones: what was decoded before is written again in three channels, once."""
    from germline.pools import decoded as module

    for name, images in (("a", IMAGES[:10, ..., 0]), ("b", IMAGES[10:, ..., 0]), ("c", IMAGES)):
        (tmp_path / "pool").mkdir(exist_ok=True)
        np.save(tmp_path / "pool" / f"{name}.npy", images)
    pool, calls = shards_of(str(tmp_path / "pool")), []
    real = module.image_of

    def dies(row, fit):
        calls.append(row.id)
        if len(calls) == N + 5:
            raise KeyboardInterrupt
        return real(row, fit)

    monkeypatch.setattr(module, "image_of", dies)
    with pytest.raises(KeyboardInterrupt):
        module.decoded([pool], tmp_path / "work")
    found = module.decoded([pool], tmp_path / "work")
    assert calls[N + 5] == "c.npy#0"
    np.testing.assert_array_equal(found.images[:N], np.repeat(IMAGES[..., :1], 3, axis=3))
    np.testing.assert_array_equal(found.images[N:], IMAGES)
    assert found.names[0].endswith("pool/a.npy#0")


def test_bytes_of_arrays_stay_out_of_memory(tmp_path):
    from germline.core.mapped import Collected, Mapped

    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    for path in (None, tmp_path / "x"):
        with Collected(path) as rows:
            rows.add(x[:20])
            rows.add(x[20:])
            found = rows.array()
        assert isinstance(found, Mapped) == (path is not None)
        assert found.shape == x.shape
        for some in (slice(3, 9), np.array([7, 1]), 4, x[:, 0] > 0):
            assert type(found[some]) is np.ndarray
            np.testing.assert_array_equal(found[some], x[some])
    assert len(Mapped.open(tmp_path / "none", np.dtype(np.uint8), (0, 4))) == 0
    file = io.BytesIO()
    np.save(file, found)
    np.testing.assert_array_equal(np.load(io.BytesIO(file.getvalue())), x)
