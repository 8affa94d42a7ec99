"""Means clustered by rater and prompt: closed forms, and how often the interval holds what was planted."""

import numpy as np
import pytest

from germline.core.errors import BadInput
from germline.core.intervals import over_seeds
from germline.core.two_way import over_two_ways


def test_one_value_a_cluster_is_the_plain_t_interval():
    x = np.random.default_rng(0).normal(size=9)
    names = [str(i) for i in range(9)]
    plain, found = over_seeds(x), over_two_ways(x, names, names)
    assert (found.mean, found.low, found.high) == pytest.approx((plain.mean, plain.low, plain.high))


def test_values_repeated_by_every_rater_carry_no_more_than_once():
    """Eight raters who all say the same of a prompt: the variance over prompts alone, as if one had answered."""
    x = np.random.default_rng(1).normal(size=8)
    names = [str(i) for i in range(8)]
    found = over_two_ways(np.tile(x, 8), np.repeat(names, 8), names * 8)
    plain = over_seeds(x)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


def test_a_study_of_eight_raters_and_150_pairs_recovers_what_was_planted():
    """Raters differ, prompts differ, so answers are not independent; intervals that ignore it hold the share too rarely."""
    planted, raters, prompts, held, naive = 0.69, 8, 150, 0, 0
    rows, columns = np.repeat(np.arange(raters).astype(str), prompts), np.tile(np.arange(prompts).astype(str), raters)
    for seed in range(400):
        draw = np.random.default_rng(seed)
        chance = planted + draw.uniform(-0.12, 0.12, (raters, 1)) + draw.uniform(-0.18, 0.18, (1, prompts))
        wins = (draw.random((raters, prompts)) < chance).ravel().astype(float)
        found, plain = over_two_ways(wins, rows, columns), over_seeds(wins)
        held += found.low <= planted <= found.high
        naive += plain.low <= planted <= plain.high
    assert 0.9 <= held / 400 <= 0.99
    assert naive / 400 < 0.85


def test_too_few_of_either_have_no_interval_and_odd_lengths_are_refused():
    assert over_two_ways([0, 1, 1, 0], ["a", "a", "b", "b"], ["p", "q", "r", "s"]).low is None
    with pytest.raises(BadInput, match="4 values, 3 rows and 4 columns"):
        over_two_ways([0, 1, 1, 0], ["a", "b", "c"], ["p", "q", "r", "s"])
