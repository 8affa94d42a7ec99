"""Principal components of more features than a covariance can hold."""

import numpy as np
import pytest

from germline.features import pca
from germline.features.pca import principal


def test_components_by_rows_are_those_of_the_covariance(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 90)) * np.linspace(3, 0.1, 90)
    x -= x.mean(axis=0)
    by_covariance = principal(x, 6)
    monkeypatch.setattr(pca, "MANY", 50)
    by_rows = principal(x, 6)
    np.testing.assert_allclose(by_rows["directions"], by_covariance["directions"], atol=1e-10)
    assert by_rows["explained"] == pytest.approx(by_covariance["explained"], rel=1e-12)


def test_of_twenty_thousand_features_directions_have_unit_length():
    x = np.random.default_rng(1).normal(size=(60, 20_000))
    x -= x.mean(axis=0)
    found = principal(x, 8)["directions"]
    np.testing.assert_allclose(found.T @ found, np.eye(8), atol=1e-10)
    variances = (x @ found).var(axis=0)
    assert (np.diff(variances) < 0).all()
    np.testing.assert_allclose(variances, np.linalg.svd(x, compute_uv=False)[:8] ** 2 / 60, rtol=1e-10)
