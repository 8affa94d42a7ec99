"""The collapse rate: a planted slope comes back, with intervals that scipy gives too."""

import json

import numpy as np
import pytest
from scipy import stats

from conftest import gaussian_recipe, gaussian_splits
from germline.features import Pixels
from germline.loop import Loop
from germline.measure import measure
from germline.metrics import Frechet
from germline.report.rates import factor, rates, slope, table_of, text
from germline.report.tidy import read
from germline.verbs.table import print_comparison
from report.test_compare import runs


def planted(rate, seeds, generations=6, noise=0.0, start=3.0):
    rng = np.random.default_rng(0)
    lines = np.log(start) + rate * np.arange(generations)
    return np.exp(lines + rng.normal(0, noise, (seeds, generations)))


@pytest.mark.parametrize("rate", [0.4, 0.0, -0.2])
def test_a_planted_rate_comes_back_whatever_the_level(rate):
    (found,) = rates(runs({"replace": planted(rate, 1)}))
    assert found.slope.mean == pytest.approx(rate, abs=1e-12)
    assert found.generation == 5
    assert (found.slope.low, found.slope.high) == (None, None)
    assert found.line == pytest.approx((rate, rate), abs=1e-9)
    (scaled,) = rates(runs({"replace": planted(rate, 1, start=300.0)}))
    assert scaled.slope.mean == pytest.approx(rate, abs=1e-12)


def test_one_seed_has_the_interval_of_its_line_as_scipy_gives_it():
    values = planted(0.3, 1, noise=0.1)
    (found,) = rates(runs({"replace": values}))
    fit = stats.linregress(np.arange(6), np.log(values[0]))
    half = stats.t(4).ppf(0.975) * fit.stderr
    assert (found.slope.mean, *found.line) == pytest.approx((fit.slope, fit.slope - half, fit.slope + half))
    assert slope(np.log(values[0])) == pytest.approx((fit.slope, fit.slope - half, fit.slope + half))


def test_three_seeds_have_a_t_interval_over_their_slopes_and_two_have_none():
    values = planted(0.3, 3, noise=0.1)
    (found,) = rates(runs({"replace": values}))
    slopes = [stats.linregress(np.arange(6), np.log(row)).slope for row in values]
    own = stats.ttest_1samp(slopes, 0).confidence_interval()
    assert (found.slope.mean, found.slope.low, found.slope.high) == pytest.approx((np.mean(slopes), own.low, own.high))
    assert found.line is None
    assert text(found).startswith("+0.")
    (two,) = rates(runs({"replace": values[:2]}))
    assert (two.slope.low, two.line) == (None, None)
    assert "[" not in text(two)


def test_arms_stand_by_themselves_and_the_factor_is_that_of_a_generation():
    found = rates(runs({"fast": planted(np.log(2), 3), "held": planted(0.0, 3)}))
    assert [one.arm for one in found] == ["fast", "held"]
    assert factor(found[0]) == "×2"
    table = table_of(found)
    assert table.rows[0][:4] == ("fast", "FD-x, n = 100", "0 to 5", "3")


def test_too_few_generations_and_distances_of_zero_have_no_rate():
    assert rates(runs({"replace": planted(0.3, 3, generations=2)})) == []
    zero = planted(0.3, 1)
    zero[0, 2] = 0.0
    assert rates(runs({"replace": zero})) == []
    assert table_of([]) is None


def test_a_chain_of_gaussians_collapses_at_a_positive_rate_on_the_command_line(tmp_path, capsys):
    data = gaussian_splits(12, 2)
    loop = Loop.at(tmp_path / "run", gaussian_recipe(12), data, names={"recipe": "made-here", "kwargs": {}, "data": {}})
    for generation in loop.run(6):
        measure(generation, data, [Frechet(Pixels())])
    records = [read(tmp_path / "run")]
    print_comparison(records, None, json=True)
    (group,) = json.loads(capsys.readouterr().out)
    (rate,) = group["collapse_rates"]
    assert rate["slope"]["mean"] > 0
    assert rate["factor"] == pytest.approx(np.exp(rate["slope"]["mean"]))
    print_comparison(records, None, json=False)
    assert "Collapse rate" in capsys.readouterr().out
