"""Rank correlations across arms, against scipy's and by hand."""

from dataclasses import dataclass

import pytest
from scipy.stats import spearmanr

from germline.core.intervals import over_seeds
from germline.core.measurement import Measurement
from germline.report.arms import Arm, Group
from germline.report.together import correlations, table_of


@dataclass(frozen=True)
class Measured:
    seed: int
    values: tuple


def group_of(*arms):
    """A group of arms, each given as {seed: (distance, ole)} at the last of two generations."""
    found = []
    for number, seeds in enumerate(arms):
        runs = tuple(Measured(seed, ((), measured(*pair))) for seed, pair in seeds.items())
        found.append(Fake(str(number), runs))
    return Group(None, tuple(found))


def measured(distance, ole, n=100):
    return (
        Measurement("FD-x", distance, "samples", n, "x", d=8),
        Measurement("ole", ole, "samples", 50, "y", d=9),
        Measurement("ole", 0.0, "reference", 50, "y", d=9),
    )


class Fake(Arm):
    length = 2


def test_it_is_spearmans_for_every_seed_and_an_interval_over_seeds():
    distances = {0: [1.0, 5.0, 2.0, 9.0, 4.0], 1: [1.0, 2.0, 3.0, 4.0, 5.0], 2: [3.0, 1.0, 4.0, 1.5, 9.0]}
    oles = {0: [2.0, 2.0, 7.0, 8.0, 1.0], 1: [1.0, 2.0, 3.0, 5.0, 4.0], 2: [9.0, 1.0, 4.0, 8.0, 2.0]}
    group = group_of(*({seed: (distances[seed][arm], oles[seed][arm]) for seed in range(3)} for arm in range(5)))
    (found,) = correlations(group)
    assert (found.metric, found.extractor, found.distance, found.arms) == ("ole", "y", "FD-x", 5)
    expected = over_seeds([spearmanr(distances[seed], oles[seed]).statistic for seed in range(3)])
    assert found.rho.mean == pytest.approx(expected.mean)
    assert found.rho.low == pytest.approx(expected.low)
    low, high = max(expected.low, -1), min(expected.high, 1)
    shown = f"{expected.mean:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", "\N{MINUS SIGN}")
    assert table_of([found]).rows == (("OLE (y)", shown, "5"),)


def test_one_measure_at_two_numbers_of_neighbours_has_two_names():
    def values(arm):
        return (*measured(arm, arm), *(Measurement("coverage", sign * arm, "samples", 50, "y", k) for k, sign in ((1, 1), (5, -1))))

    group = Group(None, tuple(Fake(str(arm), (Measured(0, ((), values(arm))),)) for arm in range(6)))
    rows = {row[0]: row[1] for row in table_of(correlations(group)).rows}
    assert rows == {"Coverage (y, k = 1)": "+1.00", "Coverage (y, k = 5)": "\N{MINUS SIGN}1.00", "OLE (y)": "+1.00"}


def test_a_measure_that_orders_the_arms_alike_is_found_and_one_against_them_too():
    alike = group_of(*({seed: (arm + seed, 2 * arm) for seed in range(3)} for arm in range(6)))
    against = group_of(*({seed: (arm + seed, -arm) for seed in range(3)} for arm in range(6)))
    assert correlations(alike)[0].rho.mean == pytest.approx(1)
    assert correlations(against)[0].rho.mean == pytest.approx(-1)


def test_four_arms_are_too_few_and_equal_values_order_nothing():
    assert correlations(group_of(*({0: (arm, arm)} for arm in range(4)))) == []
    assert correlations(group_of(*({0: (arm, 1.0)} for arm in range(6)))) == []
    assert table_of([]) is None


def test_arms_measured_on_another_number_of_samples_are_left_out():
    group = group_of(*({0: (arm, arm)} for arm in range(6)))
    other = Fake("other", (Measured(0, ((), measured(100.0, -100.0, n=200))),))
    found = correlations(Group(None, (*group.arms, other)))
    assert (found[0].arms, found[0].rho.mean) == (6, pytest.approx(1))
