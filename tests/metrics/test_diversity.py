"""Vendi score and spectrum: closed forms, golden values, and the noise of both against draws."""

import json
from math import log
from pathlib import Path

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.features import Pixels
from germline.metrics import Spectrum, Vendi
from germline.metrics.effective import Effective
from germline.metrics.spectrum import centred
from germline.metrics.vendi import vendi

GOLDEN = Path(__file__).parent.parent / "golden"
ARRAYS = np.load(GOLDEN / "selection.npz")
EXPECTED = json.loads((GOLDEN / "selection.json").read_text())["vendi"]


@pytest.mark.parametrize("name", ["features", "other"])
def test_vendi_golden(name):
    assert vendi(ARRAYS[name]).value == pytest.approx(EXPECTED[name]["q1"], rel=1e-9)
    assert vendi(ARRAYS[name], 2).value == pytest.approx(EXPECTED[name]["q2"], rel=1e-9)
    assert vendi(ARRAYS[name], 400).value == pytest.approx(EXPECTED[name]["q_inf"], rel=0.02)


@pytest.mark.parametrize("order", [0.5, 1, 2])
def test_vendi_counts_groups_that_have_nothing_in_common(order):
    assert vendi(np.tile([[1.0, 2, 3]], (50, 1)), order).value == pytest.approx(1, abs=1e-9)
    groups = np.repeat(np.eye(7)[:5], 8, axis=0) * np.linspace(1, 9, 40)[:, None]  # lengths do not matter
    assert vendi(groups, order).value == pytest.approx(5, rel=1e-9)
    assert vendi(np.concatenate([groups, np.zeros((8, 7))]), order).value == pytest.approx(6, rel=1e-9)


def test_vendi_of_unequal_groups():
    rows = np.repeat(np.eye(2), [30, 10], axis=0)
    assert vendi(rows).value == pytest.approx(np.exp(-0.75 * log(0.75) - 0.25 * log(0.25)), rel=1e-12)
    assert vendi(rows, 2).value == pytest.approx(1 / (0.75**2 + 0.25**2), rel=1e-12)


def test_both_gram_matrices_give_the_same():
    x = np.random.default_rng(0).normal(size=(30, 12))
    wide = np.concatenate([x, np.zeros((30, 40))], axis=1)
    for order in (1, 2.5):
        tall, other = Effective.of(x, order), Effective.of(wide, order)
        assert other.value == pytest.approx(tall.value, rel=1e-9)
        np.testing.assert_allclose(other.rows, tall.rows, rtol=1e-7)
        np.testing.assert_allclose(other.eigenvalues[:12], tall.eigenvalues, rtol=1e-9)


@pytest.mark.parametrize("order", [0.7, 1, 2])
def test_a_rows_share_is_the_derivative_by_its_weight(order):
    x = np.random.default_rng(1).normal(size=(40, 5)) * [3, 2, 1, 1, 0.2]
    found = Effective.of(x, order)
    assert found.rows.mean() == pytest.approx(log(found.value), rel=1e-12)
    step = 1e-5
    for row in (0, 17):
        weight = np.ones(40)
        weight[row] += 40 * step  # (1 - step) of all rows, step of this one more, up to a factor that does not matter
        moved = log(Effective.of(x * np.sqrt(weight)[:, None], order).value)
        assert (moved - log(found.value)) / step == pytest.approx(found.rows[row] - log(found.value), rel=1e-3, abs=1e-4)


def test_the_interval_is_as_wide_as_draws_differ():
    scales = np.array([4, 2, 1, 0.5])
    draws = [Effective.of(np.random.default_rng(seed).normal(size=(300, 4)) * scales) for seed in range(200)]
    spread = np.std([log(each.value) for each in draws])
    widths = [log(high / low) for low, high in (each.interval() for each in draws[:20])]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * spread, rel=0.15)


@pytest.mark.parametrize("m", [1, 3, 6])
def test_effective_rank_and_participation_ratio_count_equal_directions(m):
    rows = np.concatenate([np.eye(6)[:m], -np.eye(6)[:m]]) * 5 + 100
    for order in (1, 2):
        assert Effective.of(centred(rows), order).value == pytest.approx(m, rel=1e-9)


def test_spectrum_is_numpys():
    x = ARRAYS["features"].astype(np.float64)
    expected = np.linalg.eigvalsh(np.cov(x, rowvar=False))[::-1]
    np.testing.assert_allclose(Effective.of(centred(x)).eigenvalues, expected, rtol=1e-9, atol=1e-12)
    assert Effective.of(centred(x), 2).value == pytest.approx(expected.sum() ** 2 / np.square(expected).sum(), rel=1e-9)


def test_the_metrics_measure_as_the_functions_do():
    data = gaussian_splits(60, 4)
    evidence = Evidence(gaussian_splits(50, 4, seed=3).real, data.real, data, Context(1, 0, data))
    made = evidence.ctx.features(Pixels(), evidence.samples)
    found = {(m.name, m.of): m for metric in (Spectrum(Pixels()), Vendi(Pixels()), Vendi(Pixels(), 2)) for m in metric(evidence)}
    covariance = np.cov(made.astype(np.float64), rowvar=False)
    assert found["variance", "samples"].value == pytest.approx(np.trace(covariance), rel=1e-9)
    np.testing.assert_allclose(found["effective_rank", "samples"].curve, np.linalg.eigvalsh(covariance)[::-1], rtol=1e-7)
    assert found["vendi", "samples"].value == pytest.approx(vendi(made).value)
    assert found["vendi, order 2", "samples"].value == pytest.approx(vendi(made, 2).value)
    for measured in found.values():
        assert measured.low < measured.value < measured.high
        assert measured.d == 16
        assert measured.n == {"samples": 50, "training": 60, "reference": 60}[measured.of]


def test_rows_without_variance_are_refused():
    with pytest.raises(BadInput, match="needs rows that differ from 0 and an order above 0, but got 5 rows, order 1"):
        Effective.of(centred(np.ones((5, 3))))
    with pytest.raises(BadInput, match="order above 0, but got 3 rows, order -1"):
        vendi(np.eye(3), -1)
