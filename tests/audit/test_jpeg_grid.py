"""The grid of a JPEG is seen in pictures that were stored as something else since, and nowhere else."""

import io

import numpy as np
import pytest
from PIL import Image

from germline.audit.jpeg_grid import MARKED, compressed_otherwise, deviations
from germline.data import fashion_mnist


def jpeg(images, quality, crop=0):
    out = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(np.pad(image[..., 0], crop, mode="edge")).save(file, "jpeg", quality=quality)
        out.append(np.asarray(Image.open(file))[crop:, crop:][: image.shape[0], : image.shape[1], None])
    return np.stack(out)


@pytest.fixture(scope="module")
def images():
    return fashion_mnist().held_out.images[:200]


def test_real_rows_have_no_grid_and_jpegs_have(images):
    assert (deviations(images) > MARKED).mean() <= 0.03
    assert (deviations(jpeg(images, 90)) > MARKED).mean() > 0.6
    colour = np.repeat(jpeg(images, 90), 3, axis=3)
    np.testing.assert_allclose(deviations(colour), deviations(jpeg(images, 90)), atol=0.5)


def test_a_grid_that_begins_elsewhere_is_not_called_one(images):
    assert (deviations(jpeg(images, 90, crop=3)) > MARKED).mean() < 0.05


def test_too_small_and_plain_images_say_nothing():
    assert deviations(np.zeros((3, 12, 40, 1), np.uint8)).tolist() == [0, 0, 0]
    assert deviations(np.full((2, 32, 32, 3), 77, np.uint8)).tolist() == [0, 0]


def test_shares_that_are_apart_by_chance_or_by_little_say_nothing():
    grid, none = np.full(1000, 9.0), np.zeros(1000)
    assert compressed_otherwise(none, none) == compressed_otherwise(grid, grid) == ""
    assert compressed_otherwise(np.where(np.arange(1000) < 50, 9.0, 0), none) == ""
    assert compressed_otherwise(np.where(np.arange(20) < 3, 9.0, 0), none[:20]) == ""
    assert compressed_otherwise(np.where(np.arange(1000) < 80, 9.0, 0), none).startswith("8% of the pool's images and 0% of the real ones")
