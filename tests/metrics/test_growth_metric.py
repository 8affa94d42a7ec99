"""The metric of growth on planted displacement."""

import numpy as np
import pytest

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.core.splits import split
from germline.metrics import Growth

LABELS = np.arange(600) % 3
AWAY = np.random.default_rng(0).choice([-15.0, 15.0], (3, 6, 6, 1))


def images(factor, labels, seed):
    noise = np.random.default_rng(seed).normal(0, 10, (len(labels), 6, 6, 1))
    return np.clip(np.rint(127.5 + factor * AWAY[labels] + noise), 0, 255).astype(np.uint8)


DATA = split("planted", images(1.0, LABELS, 1), LABELS, tuple("abc"), {"real": 300, "reserve": 60, "judge": 120, "held_out": 120})


def measured(pool):
    return {value.of: value for value in Growth()(Evidence(pool, pool, DATA, None))}


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_growth_is_the_planted_factor(factor):
    labels = np.arange(240) % 3
    found = measured(Pool.of(images(factor, labels, 2), labels, 0))
    assert found["samples"].low < found["samples"].value < found["samples"].high
    assert found["samples"].value == pytest.approx(factor, rel=0.03)
    assert found["reference"].value == pytest.approx(1, abs=0.03)
    assert (found["samples"].n, found["samples"].d) == (240, 36)


def test_the_interval_narrows_with_rows():
    width = {}
    for n in (60, 240):
        labels = np.arange(n) % 3
        value = measured(Pool.of(images(1.0, labels, 3), labels, 0))["samples"]
        width[n] = value.high - value.low
    assert width[60] / width[240] == pytest.approx(2, rel=0.3)


def test_one_class_is_refused():
    labels = np.zeros(20, np.int64)
    with pytest.raises(BadInput, match="two classes in samples and data, but there is 1"):
        measured(Pool.of(images(1.0, labels, 4), labels, 0))
