"""Intervals cover what they should, and are the same every time."""

import numpy as np
import pytest
from scipy import stats

from germline.core import noise
from germline.core.noise import bootstrap, ratio, share, wilson


def test_the_bootstrap_is_the_normal_interval_of_a_mean():
    x = np.random.default_rng(0).normal(3, 2, 2_000)
    low, high = bootstrap(x)
    half = 1.96 * x.std() / np.sqrt(2_000)
    assert low == pytest.approx(x.mean() - half, abs=0.12 * half)
    assert high == pytest.approx(x.mean() + half, abs=0.12 * half)


def test_the_bootstrap_agrees_with_scipys():
    x = np.random.default_rng(1).exponential(size=300)
    peer = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    width = peer.high - peer.low
    assert bootstrap(x) == pytest.approx(peer, abs=0.07 * width)


def test_the_bootstrap_moves_and_scales_with_its_values_and_does_not_depend_on_its_blocks(monkeypatch):
    x = np.random.default_rng(2).random(200)
    low, high = bootstrap(x)
    assert bootstrap(x) == (low, high)
    assert bootstrap(10 * x + 1e6) == pytest.approx((10 * low + 1e6, 10 * high + 1e6), rel=1e-12)
    monkeypatch.setattr(noise, "ELEMENTS", 200 * 7)
    assert bootstrap(x) == pytest.approx((low, high), rel=1e-6)
    assert bootstrap(np.full(5, 2.5)) == (2.5, 2.5)


def test_intervals_hold_the_truth_in_95_of_100():
    rng = np.random.default_rng(0)
    draws = rng.exponential(size=(400, 200))
    held = np.mean([low <= 1 <= high for low, high in map(bootstrap, draws)])
    assert 0.90 < held < 0.98  # of 0.95, less what a percentile interval lacks at n = 200
    held = np.mean([low <= 0.1 <= high for low, high in (wilson(int(hits), 200) for hits in rng.binomial(200, 0.1, 2_000))])
    assert 0.92 < held < 0.98


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (8, 24), (24, 24)])
def test_wilson_agrees_with_scipys(hits, n):
    peer = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits, n) == pytest.approx((peer.low, peer.high), abs=1e-6)
    assert share(np.arange(n) < hits) == (hits / n, *wilson(hits, n))


def test_the_interval_of_a_ratio_is_what_other_rows_give():
    rng = np.random.default_rng(5)

    def drawn():
        below = rng.gamma(4, 1, 400)
        return ratio(2 * below + rng.normal(0, 2, 400), below)

    found = np.array([drawn() for _ in range(200)])
    assert np.mean((found[:, 1] <= 2) & (found[:, 2] >= 2)) >= 0.9
    assert np.mean((found[:, 2] - found[:, 1]) / 3.92) == pytest.approx(found[:, 0].std(), rel=0.2)
    exact = ratio(np.arange(1, 9) * 3.0, np.arange(1, 9) * 1.0)
    assert exact == pytest.approx((3, 3, 3))
