"""Curation: the choice probabilities of Bradley-Terry, the law for finite k, and its limit."""

import numpy as np
import pytest

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.selectors import BestOf
from germline.selectors.best_of import choose


def pool_of(scores, classes=1):
    n = len(scores)
    return Pool.of(np.zeros((n, 1, 1, 1), np.uint8), np.arange(n) % classes, 0, {"taste": np.asarray(scores, float)})


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_choice_falls_by_softmax(temperature):
    scores = np.array([0.0, 1.0, -0.5, 2.0])
    groups = np.tile(scores, (200_000, 1))
    picked = choose(groups, temperature, np.random.default_rng(0).gumbel(size=groups.shape))
    want = np.exp(scores / temperature) / np.exp(scores / temperature).sum()
    got = np.bincount(picked, minlength=4) / len(groups)
    assert np.abs(got - want).max() < 5 * np.sqrt(0.25 / len(groups))


def test_a_pair_is_chosen_from_by_bradley_terry(tiny):
    """Scores 0 or d with equal chance: of k = 2, the better share is 1/4 + 1/2 sigmoid(d)."""
    d, n = 1.5, 40_000
    scores = np.where(np.random.default_rng(1).random(2 * n) < 0.5, d, 0.0)
    kept = scores[BestOf(n, "taste", k=2)(pool_of(scores), Context(1, 0, tiny))]
    p = (scores > 0).mean()
    assert (kept > 0).mean() == pytest.approx(p**2 + 2 * p * (1 - p) / (1 + np.exp(-d)), abs=4 * 0.5 / np.sqrt(n))


def test_for_large_k_the_law_is_tilted_by_the_exponential(tiny):
    """p(x) exp(score) / E[exp(score)]: a normal score N(0, s^2) becomes N(s^2, s^2)."""
    s, k, n = 0.7, 50, 4_000
    scores = np.random.default_rng(2).normal(0, s, k * n)
    kept = scores[BestOf(n, "taste", k)(pool_of(scores), Context(1, 0, tiny))]
    assert kept.mean() == pytest.approx(s**2, abs=4 * s / np.sqrt(n) + 1 / k)
    assert kept.std() == pytest.approx(s, rel=0.05)


def test_temperature_0_keeps_the_best_of_every_group(tiny):
    scores = np.random.default_rng(3).permutation(600).astype(float)
    kept = BestOf(150, "taste", k=4, temperature=0.0)(pool_of(scores), Context(1, 0, tiny))
    assert 599 in scores[kept]
    assert scores[kept].mean() == pytest.approx(600 * 4 / 5, rel=0.03), "the mean of the largest of 4 uniform ones is 4/5"


def test_k_of_1_is_a_uniform_draw(tiny):
    scores = np.arange(1_000) / 100
    kept = BestOf(500, "taste", k=1)(pool_of(scores), Context(1, 0, tiny))
    assert scores[kept].mean() == pytest.approx(scores.mean(), abs=4 * scores.std() / np.sqrt(500))


def test_conditions_keep_equal_shares(tiny):
    pool = pool_of(np.arange(66), classes=3)
    rows = BestOf(7, "taste", k=3)(pool, Context(1, 0, tiny))
    assert np.bincount(pool.condition[rows]).tolist() == [3, 2, 2]
    assert len(set(rows.tolist())) == 7


def test_a_shift_of_all_scores_of_a_condition_changes_nothing(tiny):
    scores = np.random.default_rng(4).normal(size=60)
    ctx = Context(1, 0, tiny)
    shifted = scores + 1000.0 * (np.arange(60) % 3)
    assert BestOf(10, "taste")(pool_of(scores, 3), ctx).tolist() == BestOf(10, "taste")(pool_of(shifted, 3), ctx).tolist()


def test_errors_say_what_to_do(tiny):
    ctx, pool = Context(1, 0, tiny), pool_of(np.arange(30), 3)
    with pytest.raises(BadInput, match="needs the column 'beauty', but the pool's columns are: taste"):
        BestOf(3, "beauty")(pool, ctx)
    with pytest.raises(BadInput, match="needs 12 rows of condition 0, 4 for each of 3, but 10 are there; let the sampler make k times n"):
        BestOf(9, "taste", k=4)(pool, ctx)
    with pytest.raises(BadInput, match="n and k from 1 and a temperature from 0, but got 3, 0 and 1.0"):
        BestOf(3, "taste", k=0)
