"""Trend and change point: intervals that cover, p-values that mean what they say."""

import numpy as np
import pytest
from scipy.stats import kstest

from germline.core.trend import change_point, trend

CHAINS = 2_000


def series(length, slope=0.0, sd=1.0, seed=0):
    return slope * np.arange(length) + np.random.default_rng(seed).normal(0, sd, (CHAINS, length))


@pytest.mark.parametrize("length", [3, 5, 8])
def test_the_interval_of_the_slope_covers_when_the_noise_is_known(length):
    lines = [trend(y, 1.0) for y in series(length, slope=0.7)]
    assert np.mean([line.low <= 0.7 <= line.high for line in lines]) > 0.94


def test_of_a_long_series_whose_noise_is_larger_than_said_the_interval_still_covers_nearly():
    lines = [trend(y, 0.5) for y in series(40)]
    assert np.mean([line.low <= 0 <= line.high for line in lines]) == pytest.approx(0.94, abs=0.025)


@pytest.mark.parametrize("length", [4, 8])
def test_without_a_slope_the_p_value_is_never_smaller_than_it_says(length):
    p = np.array([trend(y, 1.0).p for y in series(length)])
    assert all((p < level).mean() <= level + 3 * np.sqrt(level / CHAINS) for level in (0.002, 0.01, 0.05, 0.2))
    assert kstest(p, "uniform").statistic < 0.06


def test_the_slope_is_that_of_least_squares():
    y = series(7, slope=-0.3)[0]
    assert trend(y, 1.0).slope == pytest.approx(np.polyfit(np.arange(7), y, 1)[0])


def test_a_series_without_any_scatter_or_noise_has_a_certain_trend():
    assert trend([0.0, 1.0, 2.0], 0.0).p < 1e-6
    assert trend([1.0, 1.0, 1.0], 0.0).p == 1.0


@pytest.mark.parametrize("at", [2, 5, 8])
def test_a_planted_step_is_found_and_its_interval_covers(at):
    steps = [change_point(y + 4.0 * (np.arange(10) >= at), 1.0) for y in series(10)[:500]]
    assert np.mean([step.at == at for step in steps]) > 0.85
    assert np.mean([step.low <= at <= step.high for step in steps]) > 0.94


def test_a_step_in_noise_has_a_wide_interval():
    small = change_point(np.repeat([0.0, 0.5], 5), 1.0)
    assert small.high - small.low >= 4
    assert change_point(np.repeat([0.0, 50.0], 5), 1.0) == type(small)(5, 5, 5)
