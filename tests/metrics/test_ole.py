"""OLE: zero for orthogonal classes, the singular values' own numbers, golden values; and the angles between classes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.features import Pixels
from germline.metrics import OLE, ClassAngles
from germline.metrics.class_angles import between
from germline.metrics.ole import nuclear_norm, ole, variants

GOLDEN = Path(__file__).parent.parent / "golden"
EXPECTED = json.loads((GOLDEN / "selection.json").read_text())["ole"]
RNG = np.random.default_rng(0)


def by_svd(features, labels):
    parts = [np.linalg.svd(features[labels == label], compute_uv=False).sum() for label in np.unique(labels)]
    return sum(parts) - np.linalg.svd(features, compute_uv=False).sum()


def turned(d, rng=RNG):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def test_golden():
    arrays = np.load(GOLDEN / "selection.npz")
    features, labels = arrays["features"], arrays["labels"]
    assert ole(features, labels) == pytest.approx(EXPECTED["value"], rel=1e-6)
    assert nuclear_norm(features) == pytest.approx(EXPECTED["total_nuclear_norm"], rel=1e-6)


@pytest.mark.parametrize("d", [24, 400])
def test_orthogonal_classes_have_none(d):
    """Four classes of five directions each, turned: in float32 too, as features come."""
    rows = np.zeros((80, d))
    for c in range(4):
        rows[20 * c : 20 * c + 20, 5 * c : 5 * c + 5] = RNG.normal(size=(20, 5)) * 3
    rows, labels = (rows @ turned(d)).astype(np.float32), np.repeat(np.arange(4), 20)
    assert abs(ole(rows, labels)) < 1e-6 * nuclear_norm(rows)


@pytest.mark.parametrize("shape", [(60, 8), (40, 200)])
def test_it_is_the_singular_values_never_negative_linear_and_blind_to_rotation_and_order(shape):
    rows, labels = RNG.normal(size=shape) + 1, RNG.integers(4, size=shape[0])
    value = ole(rows, labels)
    assert value == pytest.approx(by_svd(rows, labels), rel=1e-10)
    assert value > 0
    assert ole(7 * rows, labels) == pytest.approx(7 * value, rel=1e-10)
    assert ole(rows @ turned(shape[1]), labels) == pytest.approx(value, rel=1e-9)
    order = RNG.permutation(shape[0])
    assert ole(rows[order], labels[order]) == pytest.approx(value, rel=1e-10)


def test_one_class_twice_is_the_worst_case():
    """Two classes of the same k orthogonal rows: 2 k - sqrt(2) k."""
    rows = np.concatenate([np.eye(6), np.eye(6)])
    assert ole(rows, np.repeat([0, 1], 6)) == pytest.approx(12 - 6 * np.sqrt(2))


def test_rows_of_unit_length_do_not_know_lengths():
    rows, labels = RNG.normal(size=(40, 5)), np.repeat([0, 1], 20)
    assert variants(rows, labels)["ole_unit"] == pytest.approx(variants(rows * RNG.uniform(1, 9, (40, 1)), labels)["ole_unit"])
    assert variants(rows, labels)["ole_per_row"] == pytest.approx(variants(rows, labels)["ole"] / 40)


def test_the_metric_takes_equally_many_rows_of_each_class_and_tells_the_noise_levels(tiny):
    values = OLE(Pixels(), over=(Pixels(), Pixels()), per_class=5)(evidence(tiny))
    assert {(v.name, v.of) for v in values} == {
        (n, o) for n in ("ole", "ole_per_row", "ole_unit") for o in ("samples", "training", "reference")
    }
    assert {v.n for v in values} == {10}
    assert all(v.curve == (v.value, v.value) for v in values)


@pytest.mark.parametrize("metric", [OLE(Pixels()), ClassAngles(Pixels(), r=1)])
def test_it_needs_classes(tiny, metric):
    for condition in (np.full(len(tiny.real), -1), np.array(["cat"] * len(tiny.real)), np.zeros(len(tiny.real), np.int64)):
        with pytest.raises(BadInput, match="needs a class for every row|compares 2 classes or more"):
            metric(replace(evidence(tiny), samples=replace(tiny.real, condition=condition)))


def test_planes_at_known_angles():
    angles = np.deg2rad([20, 70])
    one = RNG.normal(size=(30, 2)) @ np.eye(6)[:2]
    basis = np.cos(angles)[:, None] * np.eye(6)[:2] + np.sin(angles)[:, None] * np.eye(6)[2:4]
    other = RNG.normal(size=(30, 2)) @ basis
    turn = turned(6)
    np.testing.assert_allclose(between([one @ turn, other @ turn], 2), [[20, 70]], atol=1e-6)


def test_a_class_fills_as_many_directions_as_it_has(tiny):
    angles, ranks = (v for v in ClassAngles(Pixels(), r=2)(evidence(gaussian_splits(2_000, 2))) if v.of == "samples")
    assert ranks.value == pytest.approx(4, rel=0.05)  # four independent pixels of one variance
    assert len(ranks.curve) == 2
    assert 0 <= angles.curve[0] <= angles.curve[1] <= 90


def test_too_few_rows_for_the_directions(tiny):
    with pytest.raises(BadInput, match="lower r"):
        ClassAngles(Pixels(), r=9, per_class=4)(evidence(tiny))


@pytest.mark.parametrize("metric", [OLE(Pixels(), over=(Pixels(),)), ClassAngles(Pixels(), r=1)])
@pytest.mark.parametrize("counts, says", [((9, 1), "the smallest of 1"), ((0, 9), r"no row of \[0\]")])
def test_a_training_set_that_cannot_be_judged_takes_no_other_number_with_it(tiny, metric, counts, says):
    """Selection may leave a class one row or none."""
    rows = np.concatenate([np.flatnonzero(tiny.real.condition == label)[:count] for label, count in enumerate(counts)])
    whole = evidence(tiny)
    with pytest.warns(UserWarning, match=f"generation 1 goes on without its training set in {type(metric).__name__}: .*{says}"):
        left = metric(replace(whole, training=tiny.real.take(rows)))
    assert left == [value for value in metric(whole) if value.of != "training"]


def evidence(data):
    return Evidence(data.real, data.real, data, Context(1, 0, data))
