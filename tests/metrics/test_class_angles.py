"""Angles between classes, and how many directions one fills: closed forms; and the rows of equally many that they are of."""

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.metrics import ClassAngles
from germline.metrics.by_class import balanced
from germline.metrics.class_angles import between, leading
from germline.theory.two_classes import bases, draw

TINY = gaussian_splits(20, 4)


class Table:
    """Features from a table, by the row's number in its source."""

    cached = False

    def __init__(self, table):
        self.table, self.name = table, "table"

    def __call__(self, pool, ctx):
        return self.table[pool.origin[:, 1]].astype(np.float32)


class At(Context):
    """A context that hands out features without looking who makes them."""

    def features(self, extractor, pool):
        return extractor(pool, self)


def measured(table, labels, **fields):
    """The angle and the rank of a set with these features and labels."""
    pool = Pool.of(np.zeros((len(labels), 1, 1, 1), np.uint8), labels)
    values = ClassAngles(Table(table), **fields)(Evidence(pool, pool, TINY, At(1, 0, TINY)))
    return {value.name: value for value in values if value.of == "samples"}


@pytest.mark.parametrize("d", [4, 5, 8])
@pytest.mark.parametrize("degrees", [(0, 0), (20, 70), (90, 90), (0, 45)])
def test_two_planes_at_known_angles(d, degrees):
    rng = np.random.default_rng(d)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    planes = [draw(basis, 30, 0.0, rng) @ turn for basis in bases(np.deg2rad(degrees), d)]
    np.testing.assert_allclose(between(planes, 2), [degrees], atol=1e-5)


def test_every_pair_is_compared_and_neither_length_nor_the_rest_of_the_space_matters():
    """Three lines in a plane, at 0, 30 and 80 degrees."""
    rng = np.random.default_rng(0)
    lines = [rng.normal(size=(9, 1)) * [np.cos(a), np.sin(a), 0] for a in np.deg2rad([0, 30, 80])]
    np.testing.assert_allclose(between(lines, 1), [[30], [80], [50]], atol=1e-5)
    np.testing.assert_allclose(between([99 * line for line in lines], 1), [[30], [80], [50]], atol=1e-5)


def test_leading_directions_are_those_of_the_most_variance_about_zero():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_000, 6)) * [1, 1, 9, 1, 1, 4]
    np.testing.assert_allclose(np.abs(leading(rows, 2).T), np.eye(6)[[2, 5]], atol=0.05)
    far = rng.normal(size=(2_000, 6)) + 50 * np.eye(6)[1]
    np.testing.assert_allclose(np.abs(leading(far, 1)[:, 0]), np.eye(6)[1], atol=0.01)


def test_the_curve_is_the_mean_over_pairs_of_each_angle_smallest_first():
    rng = np.random.default_rng(1)
    one, other = (draw(basis, 100, 0.0, rng) for basis in bases(np.deg2rad([20, 70]), 8))
    table, labels = np.concatenate([one, other]), np.repeat([0, 1], 100)
    found = measured(table, labels, r=2)
    np.testing.assert_allclose(found["class_angle"].curve, [20, 70], atol=0.01)
    assert found["class_angle"].value == pytest.approx(45, abs=0.01)
    assert (found["class_angle"].n, found["class_angle"].k, found["class_angle"].d) == (200, 2, 8)
    assert found["class_rank"].curve == pytest.approx((2, 2), rel=0.05)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_rank_of_isotropic_rows_is_their_dimension_wherever_they_lie(rank):
    """Isotropic in ``rank`` of 6 directions, far from zero: the mean is no direction."""
    rng = np.random.default_rng(2)
    table = 30 + rng.normal(size=(2_000, 6)) * (np.arange(6) < rank)
    found = measured(table, np.arange(2_000) % 2, r=1, per_class=1_000)
    assert found["class_rank"].value == pytest.approx(rank, rel=0.01)


def test_balanced_rows_are_as_many_of_each_class_and_not_the_first():
    """A training set may lie best row first: its first rows would be a biased choice."""
    labels = np.repeat([0, 1, 3], [50, 300, 200])
    pool = Pool.of(np.zeros((550, 1, 1, 1), np.uint8), labels)
    rows = balanced(pool, 100, "Test")
    assert np.bincount(rows.condition).tolist() == [50, 50, 0, 50]
    assert balanced(pool, 30, "Test").condition.tolist() == [0] * 30 + [1] * 30 + [3] * 30
    place = rows.origin[rows.condition == 1, 1] - 50
    assert len(set(place.tolist())) == 50
    assert abs(place.mean() - 150) < 4 * 300 / np.sqrt(12 * 50)
    np.testing.assert_array_equal(rows.origin, balanced(pool, 100, "Test").origin)


@pytest.mark.parametrize("r", [0, 5])
def test_as_many_directions_as_rows_and_features_allow(r):
    with pytest.raises(BadInput, match=f"needs {r} directions, but a class has 10 rows of 4 features; lower r"):
        measured(np.random.default_rng(0).normal(size=(80, 4)), np.arange(20) % 2, r=r)


def test_a_training_set_of_fewer_rows_than_directions_takes_no_other_number_with_it():
    labels = np.arange(40) % 2
    pool = Pool.of(np.zeros((40, 1, 1, 1), np.uint8), labels)
    table = np.random.default_rng(0).normal(size=(80, 8))

    def values(training):
        return ClassAngles(Table(table), r=4)(Evidence(pool, training, TINY, At(1, 0, TINY)))

    with pytest.warns(UserWarning, match="without its training set in ClassAngles: .* needs 4 directions, but a class has 3 rows"):
        left = values(pool.take(np.arange(6)))
    assert left == [value for value in values(pool) if value.of != "training"]
