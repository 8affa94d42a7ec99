"""Eq. 5 of arXiv 2502.09963: its closed form against every pair, its three pieces, what calibration keeps, what it does to grey."""

from dataclasses import replace

import numpy as np
import pytest

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.features import Pixels
from germline.weighters import DistributionWeight
from germline.weighters.distribution_weight import calibrated, effective, log_weights, mean_lengths, mean_squares, moments


class Finished:
    """Generation 0, as far as a weighter looks."""

    def __init__(self, samples):
        self.samples = samples


def ctx_of(images):
    return Context(1, 0, None, generations=(Finished(Pool.of(images, np.zeros(len(images), np.int64), 0)),))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(3, 5.5, (90, 300)).astype(np.float32), rng.normal(0, 4, (150, 300)).astype(np.float32)


def test_the_closed_form_is_the_mean_over_all_pairs(rows):
    z, reference = rows
    pairs = np.square(z[:, None].astype(np.float64) - reference[None]).mean(axis=2).mean(axis=1)
    assert np.abs(mean_squares(z, *moments(reference)) - pairs).max() < 1e-6
    unbiased = moments(reference)[1] * len(reference) / (len(reference) - 1)
    assert np.abs(mean_squares(z, moments(reference)[0], unbiased) - pairs).max() > 1e-3, "n - 1 is wrong, and this would notice"
    lengths = np.sqrt(np.square(z[:, None].astype(np.float64) - reference[None]).sum(axis=2)).mean(axis=1)
    np.testing.assert_allclose(mean_lengths(z, reference), lengths, rtol=1e-10)


def test_the_order_of_the_references_is_of_no_consequence(rows):
    z, reference = rows
    np.testing.assert_allclose(mean_squares(z, *moments(reference)), mean_squares(z, *moments(reference[::-1])), rtol=1e-12)


def test_at_beta_just_above_and_far_above():
    np.testing.assert_allclose(np.exp(log_weights(np.array([1.0, 35.0, 37.0, 39.0]), 35, 2)), [1, 1, np.exp(-1), np.exp(-2)])


@pytest.mark.parametrize("keep", [0.5, 0.73, 0.9])
def test_calibration_keeps_the_stated_share_whole(keep):
    d = np.random.default_rng(1).gamma(3.0, size=1_000)
    beta, sigma2 = calibrated(d, keep, 0.99)
    log_weight = log_weights(d, beta, sigma2)
    assert (log_weight == 0).mean() == pytest.approx(keep, abs=1e-3)
    assert np.exp(log_weights(np.quantile(d, [0.99], method="inverted_cdf"), beta, sigma2))[0] == pytest.approx(0.5)
    assert keep < effective(log_weight) / len(d) <= 1
    assert calibrated(d, keep, beta=2.0, sigma2=3.0) == (2.0, 3.0)


def test_distances_that_do_not_vary_cannot_be_calibrated():
    with pytest.raises(BadInput, match="sigma2 cannot be told"):
        calibrated(np.ones(10))


@pytest.mark.parametrize("distance", ["mse", "l2"])
def test_the_reference_is_all_of_generation_0(distance):
    rng = np.random.default_rng(2)
    base, made = (rng.integers(0, 256, (n, 4, 4, 3), np.uint8) for n in (120, 9))
    part = DistributionWeight(Pixels(), distance=distance, keep=0.8, tail=0.9)
    ctx = ctx_of(base)
    own = part(ctx.samples(0), ctx)
    assert (own == 0).mean() == pytest.approx(0.8, abs=0.01)
    z, reference = (ctx.features(Pixels(), pool).astype(np.float64) for pool in (Pool.of(made, None, 1), ctx.samples(0)))
    difference = np.square(z[:, None] - reference[None])
    expected = difference.mean(axis=2) if distance == "mse" else np.sqrt(difference.sum(axis=2))
    np.testing.assert_allclose(part.distances(Pool.of(made, None, 1), ctx), expected.mean(axis=1), rtol=1e-6)


def test_contrast_loses_weight_and_grey_gains():
    """What the docstring warns of."""
    base = np.random.default_rng(3).integers(64, 192, (80, 4, 4, 3), np.uint8)
    grey, sharp = np.full((1, 4, 4, 3), 128, np.uint8), np.indices((1, 4, 4, 3)).sum(axis=0).astype(np.uint8) % 2 * 255
    d = DistributionWeight(Pixels()).distances(Pool.of(np.concatenate([grey, base[:1], sharp]), None, 1), ctx_of(base))
    assert d[0] < d[1] < d[2]


def test_a_beta_of_another_scale_is_told():
    base = np.random.default_rng(4).integers(0, 256, (40, 4, 4, 3), np.uint8)
    part, ctx = DistributionWeight(Pixels(), beta=0.0, sigma2=1e-4), ctx_of(base)
    with pytest.warns(UserWarning, match="effective rows of 40"):
        part(ctx.samples(0), ctx)
    with pytest.raises(BadInput, match="keep < tail"):
        replace(part, keep=1.0)


def test_a_beta_that_tells_nothing_apart_is_told(recwarn):
    images = np.random.default_rng(1).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    ctx = ctx_of(images)
    assert not DistributionWeight(Pixels(), beta=1e9, sigma2=2.0)(ctx.samples(0), ctx).any()
    assert "all 20 rows lie within beta = 1e+09" in str(recwarn.pop().message)
    DistributionWeight(Pixels())(ctx.samples(0), ctx)
    assert not recwarn.list
