"""Predicted classes and duplicates, with planted losses and copies."""

from dataclasses import dataclass

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.core.splits import split
from germline.features import Pixels
from germline.metrics import Duplicates, PredictedClasses


@dataclass(frozen=True)
class FirstPixel:
    """Reads the class off an image."""

    def predict(self, pool, ctx):
        return pool.images[:][:, 0, 0, 0].astype(np.int64)


def pool_of(classes, generation):
    images = np.zeros((len(classes), 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = classes
    return Pool.of(images, np.zeros(len(classes), np.int64), generation)


def test_entropy_of_classes_and_lost_ones():
    labels = np.arange(400) % 4
    images = pool_of(labels, -1).images[:]
    data = split("four", images, labels, ("a", "b", "c", "d"), dict.fromkeys(("real", "reserve", "judge", "held_out"), 100))
    samples = pool_of(np.repeat([0, 1, 2], [50, 47, 3]), 1)  # class 2 is seen 0.03 : 0.25 = 0.12 times as often, class 3 never
    evidence = Evidence(samples, data.real, data, Context(1, 0, data))
    found = {(m.name, m.of): m for m in PredictedClasses(FirstPixel())(evidence)}
    p = np.array([0.5, 0.47, 0.03])
    assert found["class_entropy", "samples"].value == pytest.approx(-(p * np.log(p)).sum())
    assert found["class_entropy", "samples"].curve == (0.5, 0.47, 0.03, 0)
    assert found["class_entropy", "reference"].value == pytest.approx(np.log(4))
    assert found["lost_classes", "samples"].value == 1
    assert {m.of: m.value for m in PredictedClasses(FirstPixel(), lost=0.2)(evidence) if m.name == "lost_classes"} == {
        "samples": 2,
        "training": 0,
        "reference": 0,
    }
    low, high = found["class_entropy", "samples"].low, found["class_entropy", "samples"].high
    surprise = -np.log(p)
    spread = np.sqrt((p * surprise**2).sum() - (p * surprise).sum() ** 2) / 10  # the delta method
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.1)


@pytest.fixture
def evidence():
    data = gaussian_splits(500, 4)
    fresh = gaussian_splits(500, 4, seed=9).real.images[:]
    return Evidence(Pool.of(fresh, np.zeros(500, np.int64), 0), data.real, data, Context(0, 0, data))


def found(evidence, metric=None):
    return {(m.name, m.of): m for m in (metric or Duplicates(quantile=0.05))(evidence)}


@pytest.mark.parametrize("extractor", [None, Pixels()])
def test_fresh_rows_are_near_at_the_null_rate(evidence, extractor):
    measured = found(evidence, Duplicates(extractor, 0.05))
    assert measured["duplicates", "samples"].value == measured["training_copies", "samples"].value == 0
    assert measured["near_duplicates", "samples"].value == pytest.approx(0.05, abs=3 * np.sqrt(2 * 0.05 * 0.95 / 500))
    assert measured["near_duplicates", "reference"].value == 0.05  # T_0 is R: the null itself
    assert measured["near_duplicates", "samples"].d == 16


def test_planted_copies_are_counted(evidence):
    images = evidence.samples.images[:].copy()
    images[:30] = evidence.training.images[:30]
    images[30:50] = images[50]
    touched = evidence.training.images[50:90].astype(np.int64)
    images[60:100] = np.where(touched < 128, touched + 1, touched - 1)  # a grey level: near, not equal
    planted = Evidence(Pool.of(images, evidence.samples.condition, 0), evidence.training, evidence.data, evidence.ctx)
    measured = found(planted)
    assert measured["duplicates", "samples"].value == 20 / 500
    assert measured["training_copies", "samples"].value == 30 / 500
    assert measured["near_duplicates", "samples"].value >= 70 / 500
    assert measured["near_duplicates", "samples"].value <= 70 / 500 + 0.05 + 3 * np.sqrt(0.05 / 500) + 20 / 500
    assert measured["duplicates", "samples"].low < 0.04 < measured["duplicates", "samples"].high


def test_the_threshold_does_not_depend_on_what_it_judges(evidence):
    drifted = Evidence(evidence.samples, evidence.samples, evidence.data, evidence.ctx)
    measured = found(drifted)
    assert measured["training_copies", "samples"].value == measured["near_duplicates", "samples"].value == 1
    assert measured["near_duplicates", "reference"].value < 0.2


def test_a_quantile_is_a_share(evidence):
    with pytest.raises(BadInput, match=r"quantile=1\) must be between 0 and 1"):
        found(evidence, Duplicates(quantile=1))
