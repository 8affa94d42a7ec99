"""The kernel distance against its definition, and its standard error against draws."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.features import Pixels
from germline.metrics import KID, kid
from germline.metrics.kid import kernel_distance


def by_definition(a, b):
    """Return the unbiased MMD^2 with the kernel of arXiv 1801.01401, by scikit-learn (degree 3, gamma 1 / d, coef0 1)."""
    within = [polynomial_kernel(x.astype(np.float64)) for x in (a, b)]
    means = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in within]
    return sum(means) - 2 * polynomial_kernel(a.astype(np.float64), b.astype(np.float64)).mean()


@pytest.mark.parametrize("tile", [2048, 30])
def test_against_scikit_learns_kernel(monkeypatch, tile):
    monkeypatch.setattr(kid, "TILE", tile)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(90, 7)).astype(np.float32), rng.normal(0.2, 1.3, (70, 7)).astype(np.float32)
    value, error = kernel_distance(a, b)
    assert value == pytest.approx(by_definition(a, b), rel=1e-9)
    without = [
        [kernel_distance(np.delete(a, i, 0), b)[0] for i in range(90)],
        [kernel_distance(a, np.delete(b, i, 0))[0] for i in range(70)],
    ]
    assert error == pytest.approx(np.sqrt(sum((len(x) - 1) * np.var(x) for x in without)), rel=1e-9)


def test_by_hand():
    # in one dimension k(x, y) = (xy + 1)^3: within {0, 1} and within {0, 0} it is 1; across, (1 + 1 + 1 + 1) / 4
    assert kernel_distance(np.array([[0.0], [1.0]]), np.zeros((2, 1)))[0] == 0
    # within {1, 1}: 8; within {0, 0}: 1; across: 1
    assert kernel_distance(np.ones((2, 1)), np.zeros((2, 1)))[0] == 8 + 1 - 2


def test_equal_laws_give_nothing_on_average_at_any_number_of_rows():
    for n in (10, 60):
        draws = np.array([kernel_distance(*np.random.default_rng(seed).normal(size=(2, n, 4)))[0] for seed in range(400)])
        assert abs(draws.mean()) < 3.5 * draws.std() / 20
        assert (draws < 0).any()


def test_the_standard_error_is_that_of_draws():
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found.append(kernel_distance(rng.normal(size=(120, 4)), rng.normal(0.5, 1, (150, 4))))
    draws, errors = np.array(found).T
    assert errors.mean() == pytest.approx(draws.std(), rel=0.15)
    truth = _truth(0.5, 4)
    assert np.mean(np.abs(draws - truth) < 1.96 * errors) > 0.88


def _truth(mu, d):
    """Return MMD^2 of N(0, I) and N(mu, I) in closed form: E[(s + 1)^3] with s = x.y / d, from the moments of x.y."""

    def kernel(a, b):
        # t = x.y with x ~ N(a 1, I), y ~ N(b 1, I) is a sum of d independent x_i y_i: cumulants of one times d
        m1 = a * b
        m2 = (1 + a * a) * (1 + b * b)
        m3 = (a**3 + 3 * a) * (b**3 + 3 * b)
        k1, k2, k3 = m1, m2 - m1**2, m3 - 3 * m2 * m1 + 2 * m1**3
        k1, k2, k3 = d * k1, d * k2, d * k3
        t1, t2, t3 = k1, k2 + k1**2, k3 + 3 * k2 * k1 + k1**3
        return t3 / d**3 + 3 * t2 / d**2 + 3 * t1 / d + 1

    return kernel(mu, mu) + kernel(0, 0) - 2 * kernel(0, mu)


def test_the_closed_form_is_met():
    rng = np.random.default_rng(0)
    value, error = kernel_distance(rng.normal(size=(3_000, 4)), rng.normal(0.5, 1, (3_000, 4)))
    assert abs(value - _truth(0.5, 4)) < 3 * error


def test_the_metric_names_its_extractor_and_measures_both_ways():
    data = gaussian_splits(60, 4)
    evidence = Evidence(gaussian_splits(50, 4, seed=3).real, data.judge, data, Context(1, 0, data))
    held_out, real, made = (evidence.ctx.features(Pixels(), pool) for pool in (data.held_out, data.real, evidence.samples))
    found = {m.of: m for m in KID(Pixels())(evidence)}
    assert found["samples"].name == "KD-pixels"
    assert found["samples"].value == pytest.approx(by_definition(made, held_out), rel=1e-6)
    assert found["reference"].value == pytest.approx(by_definition(real, held_out), rel=1e-6)
    assert found["samples"].low < found["samples"].value < found["samples"].high
    assert (found["samples"].n, found["samples"].d) == (50, 16)
    other = {m.of: m for m in KID(Pixels(), against="real")(evidence)}
    assert other["samples"].value == pytest.approx(by_definition(made, real), rel=1e-6)
    assert other["reference"].value == pytest.approx(found["reference"].value, rel=1e-6)
    with pytest.raises(BadInput, match="at least two rows in both sets, but got 1 and 60"):
        KID(Pixels())(Evidence(evidence.samples.take([0]), evidence.training, data, evidence.ctx))
