"""Density ratios against the known ones of Gaussians, and what cross-fitting and the prior are for."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.splits import split
from germline.weighters import DensityRatio
from germline.weighters.density_ratio import cross_fitted


@dataclass(frozen=True)
class Grey:
    """The first pixel, from -3 to 3 or so."""

    cached = False

    def __call__(self, pool, ctx):
        return ((np.asarray(pool.images[:], np.float32)[:, 0, 0, 0] - 128) / 40)[:, None]


def gaussians(mean, deviation, real=6_000, made=6_000, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(real, d)), mean + deviation * rng.normal(size=(made, d))
    true = (-(y**2) / 2 + (y - mean) ** 2 / (2 * deviation**2) + np.log(deviation)).sum(axis=1)
    return x, y, true, rng.permutation(made) % 5


@pytest.mark.parametrize("mean, deviation", [(0.3, 1.0), (0.0, 0.7), (0.2, 0.8)])
@pytest.mark.parametrize("real, made", [(6_000, 6_000), (3_000, 9_000)])
def test_the_log_ratio_of_gaussians_is_found_whatever_the_counts(mean, deviation, real, made):
    """N(0, 1) over N(m, s^2) has a quadratic log-ratio; the two counts must not enter it."""
    x, y, true, fold = gaussians(mean, deviation, real, made)
    got = cross_fitted(x, y, fold, penalty=1)
    assert np.abs(got - true).mean() < 0.08
    assert np.corrcoef(got, true)[0, 1] > 0.99


def test_weighed_made_rows_have_the_moments_of_real_ones():
    x, y, _, fold = gaussians(0.4, 0.8, 20_000, 20_000, d=1)
    weight = np.exp(cross_fitted(x, y, fold))
    assert weight.mean() == pytest.approx(1, abs=0.05)
    mean = (weight[:, None] * y).sum() / weight.sum()
    assert mean == pytest.approx(0, abs=0.05)
    assert np.sqrt((weight[:, None] * (y - mean) ** 2).sum() / weight.sum()) == pytest.approx(1, abs=0.05)


def test_a_loss_of_variance_is_seen_by_the_squares_only():
    x, y, true, fold = gaussians(0.0, 0.7)
    assert np.corrcoef(cross_fitted(x, y, fold), true)[0, 1] > 0.99
    assert np.abs(cross_fitted(x, y, fold, squares=False)).max() < 0.2


def test_equal_laws_weigh_nothing_out_of_sample_and_something_in_it():
    """In 60 dimensions with 150 rows a fit tells its own rows apart; what it never saw, it cannot."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(150, 60)), rng.normal(size=(150, 60))
    crossed = cross_fitted(x, y, np.arange(150) % 5, False, penalty=1)
    doubled = cross_fitted(x, np.concatenate([y, y]), np.repeat([0, 1], 150), False, penalty=1)[:150]  # each row judged by its own twin
    assert abs(crossed.mean()) < 0.2
    assert doubled.mean() < -0.3


@pytest.fixture
def ctx(tmp_path):
    images = np.clip(np.random.default_rng(0).normal(128, 40, (1_000, 2, 2, 1)), 0, 255).astype(np.uint8)
    data = split("grey", images, np.arange(1_000) % 2, ("a", "b"), {"real": 400, "reserve": 0, "judge": 400, "held_out": 200})
    return Context(1, 0, data, scratch=tmp_path)


def offer_of(ctx, n=600):
    made = Pool.of(np.clip(np.random.default_rng(1).normal(150, 30, (n, 2, 2, 1)), 0, 255).astype(np.uint8), np.arange(n) % 2, 0)
    return Pool.concat([ctx.data.real, made])


@pytest.mark.parametrize("reference", ["real", "judge"])
def test_real_rows_weigh_one_and_made_ones_by_their_ratio(ctx, reference):
    offer = offer_of(ctx)
    got = DensityRatio(Grey(), reference=reference)(offer, ctx)
    assert (got[offer.real] == 0).all()
    x = Grey()(offer, ctx)[~offer.real, 0]
    mean, deviation = 22 / 40, 30 / 40
    true = np.clip(-(x**2) / 2 + (x - mean) ** 2 / (2 * deviation**2) + np.log(deviation), -3, 3)
    assert np.abs(got[~offer.real] - true).mean() < 0.2
    clipped = DensityRatio(Grey(), clip=0.5, reference=reference)(offer, ctx)
    np.testing.assert_array_equal(clipped, np.clip(got, -0.5, 0.5))


def test_without_made_rows_nothing_is_weighed(ctx):
    assert (DensityRatio(Grey())(ctx.data.real, ctx) == 0).all()


def test_folds_come_from_the_seed(ctx):
    offer, weigh = offer_of(ctx), DensityRatio(Grey())
    assert np.array_equal(weigh(offer, ctx), weigh(offer, ctx))
    assert not np.array_equal(weigh(offer, ctx), weigh(offer, replace(ctx, seed=1)))


def test_errors_say_what_to_do(ctx):
    with pytest.raises(BadInput, match="clip and penalty above 0 and 2 folds or more, but got 0, 100.0, 5"):
        DensityRatio(Grey(), clip=0)
    with pytest.raises(BadInput, match="made rows in 5 folds, but only 3 are on offer; lower folds"):
        DensityRatio(Grey())(offer_of(ctx, 3), ctx)
