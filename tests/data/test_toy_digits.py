"""The toy's splits, as the notes state them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from germline.core.errors import BadInput
from germline.core.splits import NAMES
from germline.data import toy_digits
from germline.diffusion.model import of_images
from germline.registry import DataFlags


def test_the_splits_are_those_of_the_notes():
    """D0: the first 30 of each class; reference: the next 700; base corpus: the other 797, of a set shuffled by default_rng(7)."""
    data, raw = toy_digits(), load_digits()
    order, count, first, rest = np.random.default_rng(7).permutation(1797), [0] * 10, [], []
    for row in order:
        (first if count[raw.target[row]] < 30 else rest).append(row)
        count[raw.target[row]] += 1
    rows = {name: getattr(data, name).columns["dataset_row"].tolist() for name in NAMES}
    assert rows["real"] == first
    assert rows["held_out"] == rest[:700]
    assert rows["reserve"] + rows["judge"] == rest[700:]
    assert sorted(row for part in rows.values() for row in part) == list(range(1797))
    np.testing.assert_allclose(of_images(data.real.images[:])[:, 0].numpy(), raw.images[first] / 8 - 1, atol=0.5 / 127.5 + 1e-6)
    np.testing.assert_array_equal(data.held_out.condition, raw.target[rest[:700]])


def test_fewer_real_rows_are_the_first_of_each_class_and_leave_the_rest_alone():
    whole, less = toy_digits(), DataFlags("toy-digits", real=100).load()
    assert np.bincount(less.real.condition).tolist() == [10] * 10
    kept = set(whole.real.columns["dataset_row"].tolist())
    assert set(less.real.columns["dataset_row"].tolist()) < kept
    for name in ("reserve", "judge", "held_out"):
        np.testing.assert_array_equal(getattr(less, name).images[:], getattr(whole, name).images[:])
    assert DataFlags("toy-digits", size=16).load().image_shape == (16, 16, 1)
    for real in (5, 305, 0, 310):
        with pytest.raises(BadInput, match=f"real must be 10, 20, ... or 300, but is {real}"):
            toy_digits(real)
