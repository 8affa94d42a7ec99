"""Two classes on two subspaces: Bayes' confidence and OLE follow the angles, and the bound holds."""

import numpy as np
import pytest
from scipy.special import expit

from germline.metrics.ole import ole
from germline.theory.two_classes import bases, confidence_bound, draw, log_odds, loosest_bound, mean_log_odds

D, R, SIGMA = 64, 8, 0.5
DEGREES = (0, 15, 30, 45, 60, 75, 90)
XI = (0.500, 0.642, 0.831, 0.921, 0.956, 0.970, 0.974)
RAW = (278.6, 276.5, 273.6, 268.4, 264.5, 261.2, 260.0)


def equal(degrees):
    return np.full(R, np.deg2rad(degrees))


def simulated(angles, n, sigma=SIGMA, seed=0):
    """The log-odds of n rows of the first class."""
    own, other = bases(angles, D)
    return log_odds(draw(own, n, sigma, np.random.default_rng(seed)), own, other, sigma)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_the_mean_of_the_log_odds_is_the_formula(degrees, sigma):
    z = simulated(equal(degrees), 20_000, sigma)
    assert abs(z.mean() - mean_log_odds(equal(degrees), sigma)) <= 4 * z.std() / np.sqrt(len(z)) + 1e-9


@pytest.mark.parametrize(("degrees", "xi"), list(zip(DEGREES, XI, strict=True)))
def test_confidence_at_equal_angles(degrees, xi):
    assert expit(simulated(equal(degrees), 20_000)).mean() == pytest.approx(xi, abs=0.01)  # the table has 4,000 rows, in clusters of 200


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("angles", [equal(a) for a in DEGREES] + [np.linspace(0, 1.5, R), np.array([1.5] + [0.0] * (R - 1))])
def test_confidence_never_exceeds_the_bound(angles, sigma):
    xi = expit(simulated(angles, 20_000, sigma))
    bound = confidence_bound(angles, sigma)
    assert xi.mean() <= bound + 4 * xi.std() / np.sqrt(len(xi))
    assert bound <= loosest_bound(angles.max(), R, sigma) + 1e-12


def test_the_bound_is_tight_where_the_classes_are_one():
    np.testing.assert_allclose(expit(simulated(equal(0), 100)), 0.5)
    assert confidence_bound(equal(0), SIGMA) == 0.5


def test_the_log_odds_are_those_of_the_two_densities():
    from scipy.stats import multivariate_normal

    own, other = bases(np.linspace(0.2, 1.2, 3), 8)
    h = draw(own, 50, SIGMA, np.random.default_rng(1))
    density = [multivariate_normal(cov=u @ u.T + SIGMA**2 * np.eye(8)).logpdf(h) for u in (own, other)]
    np.testing.assert_allclose(log_odds(h, own, other, SIGMA), density[0] - density[1], rtol=1e-9)


def test_ole_falls_as_the_classes_part():
    """200 rows a class, mean of 20 draws; standard errors are about 0.4."""
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], 200)
    found = []
    for degrees in DEGREES:
        u = bases(equal(degrees), D)
        found.append(np.mean([ole(np.concatenate([draw(basis, 200, SIGMA, rng) for basis in u]), labels) for _ in range(20)]))
    np.testing.assert_allclose(found, RAW, rtol=0.01)
    assert (np.diff(found[::2]) < 0).all()


def test_too_few_dimensions():
    with pytest.raises(ValueError, match="need 16 dimensions, but d is 15"):
        bases(equal(10), 15)
