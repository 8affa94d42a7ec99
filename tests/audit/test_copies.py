"""Copies: found whatever was done to them, judged by a null that is what it says."""

import io

import numpy as np
import pytest
from PIL import Image

from germline.audit.copies import Known, cropped, exact, repeated
from germline.core.errors import BadInput
from germline.data import fashion_mnist


@pytest.fixture(scope="module")
def rows():
    data = fashion_mnist()
    return data.real.images[:600], data.held_out.images[:400]


@pytest.fixture(scope="module")
def known(rows):
    return Known(rows[0])


def compressed(image):
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))[..., None]


ALTERED = {
    "exact": lambda x: x,
    "noise": lambda x: np.clip(np.rint(x + np.random.default_rng(0).normal(0, 8, x.shape)), 0, 255).astype(np.uint8),
    "shift": lambda x: np.pad(x, ((0, 0), (2, 0), (0, 2), (0, 0)), mode="edge")[:, :-2, 2:],
    "flip": lambda x: x[:, :, ::-1],
    "JPEG": lambda x: np.stack([compressed(image) for image in x]),
    "brightness": lambda x: np.rint(x * 0.8).astype(np.uint8),
}


@pytest.mark.parametrize("kind", ALTERED)
def test_copies_are_found_at_a_limit_fixed_before(rows, known, kind):
    limit = known.null(0.01).limit
    found = known.matches(np.ascontiguousarray(ALTERED[kind](rows[0][:60])))
    assert (found.strangeness < limit).mean() >= 0.95
    assert (found.rows == np.arange(60)).mean() >= 0.95


def test_fresh_rows_are_called_at_the_stated_rate(rows, known):
    for alarms in (0.01, 0.1):
        called = (known.matches(rows[1]).strangeness < known.null(alarms).limit).mean()
        assert called < 3 * alarms + 0.01


def test_the_null_of_real_rows_has_the_rate_by_construction(known):
    for alarms in (0.01, 0.05, 0.2):
        null = known.null(alarms)
        assert (null.strangeness < null.limit).mean() <= alarms < (null.strangeness < null.limit).mean() + 0.01
        assert null.floor == null.strangeness.min()


def test_the_middle_of_a_crop_is_the_middle():
    image = np.zeros((1, 20, 20, 1), np.uint8)
    image[:, 9:11, 9:11] = 200
    out = cropped(image).astype(float)
    assert np.allclose(out, out[:, ::-1, ::-1])
    assert out.sum() == pytest.approx(image.sum() / 0.81, rel=0.05)


def test_rows_count_what_was_given_even_where_real_rows_repeat(rows):
    real = np.concatenate([rows[0][:150], rows[0][:150], rows[0][150:300]])
    found = Known(real)
    assert found.null().limit > 0  # repeats among real rows are no null
    assert found.matches(rows[0][[200]]).rows.tolist() == [350]


def test_byte_for_byte(rows):
    real, fresh = rows
    assert exact(np.concatenate([fresh[:3], real[[7, 5]]]), real).tolist() == [-1, -1, -1, 7, 5]
    assert repeated(np.concatenate([real[:2], real[:1]])).tolist() == [False, False, True]


@pytest.mark.parametrize("shape", [(8, 8, 1), (70, 90, 3)])
def test_other_sizes(shape):
    images = np.random.default_rng(0).integers(0, 256, (120, *shape[:2], 1)).repeat(shape[2], 3).astype(np.uint8)
    known = Known(images)
    found = known.matches(images[:5, :, ::-1])
    assert found.rows.tolist() == [0, 1, 2, 3, 4]
    assert (found.strangeness < known.null().floor).all()


def test_plain_images_are_no_trouble(rows):
    real = np.concatenate([rows[0][:150], np.full((1, 28, 28, 1), 7, np.uint8)])
    known = Known(real)
    assert np.isfinite(known.null().limit)
    assert np.isfinite(known.matches(np.full((2, 28, 28, 1), 9, np.uint8)).strangeness).all()


def test_too_few_rows_are_refused(rows):
    with pytest.raises(BadInput, match="at least 100 different real images, but there are 50"):
        Known(np.concatenate([rows[0][:50], rows[0][:50]]))
    with pytest.raises(BadInput, match="between 0 and 1"):
        Known(rows[0][:120]).null(0)


def test_in_files_and_in_tiles_the_same_is_found_and_a_kill_goes_on(rows, known, tmp_path, monkeypatch):
    truth, null = known.matches(rows[1][:150]), known.null()
    monkeypatch.setattr("germline.audit.most_alike.TILE", 70)
    monkeypatch.setattr("germline.audit.copies.DESCRIBED", 90)
    filed = Known(rows[0], folder=tmp_path)
    np.testing.assert_allclose(filed.null().strangeness, null.strangeness, rtol=1e-6)
    monkeypatch.setattr("germline.pools.unfinished.SECONDS", 0.0)
    calls, real = [], Known._closest

    def dies(self, views, proposed, k):
        calls.append(k)
        if len(calls) == 100:
            raise KeyboardInterrupt
        return real(self, views, proposed, k)

    monkeypatch.setattr(Known, "_closest", dies)
    with pytest.raises(KeyboardInterrupt):
        filed.matches(rows[1][:150])
    again = Known(rows[0], folder=tmp_path)  # its own search is read back
    assert len(calls) == 100
    found = again.matches(rows[1][:150])
    assert len(calls) == 100 + 150 - 64
    np.testing.assert_array_equal(found.rows, truth.rows)
    np.testing.assert_allclose(found.strangeness, truth.strangeness, rtol=1e-6)
