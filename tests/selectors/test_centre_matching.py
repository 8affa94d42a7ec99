"""Centre matching: the greedy rule against brute force, and how fast the mean is met."""

from dataclasses import dataclass

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.selectors import CentreMatching
from germline.selectors.centre_matching import herded


@dataclass(frozen=True)
class Flat:
    cached = False

    def __call__(self, pool, ctx):
        return np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)


def test_each_pick_is_the_best_one():
    rng = np.random.default_rng(0)
    x, mean = rng.normal(size=(40, 3)), np.array([0.3, -0.2, 0.1])
    left, chosen = list(range(40)), []
    for t in range(1, 26):
        error = [np.linalg.norm(mean - (x[chosen].sum(axis=0) + x[row]) / t) for row in left]
        chosen.append(left.pop(int(np.argmin(error))))
    assert herded(x, mean, 25).tolist() == chosen


def test_the_mean_is_met_as_one_over_n_not_as_its_root():
    x = np.random.default_rng(1).normal(1.0, 1.0, (4_000, 5))
    target = np.full(5, 1.2)  # off the pool's mean: a random draw would miss it by 0.2
    for n in (50, 400):
        assert np.linalg.norm(x[herded(x, target, n)].mean(axis=0) - target) < 2.5 / n


def test_all_rows_are_taken_when_all_are_asked_for():
    x = np.random.default_rng(2).normal(size=(12, 2))
    assert sorted(herded(x, x[0], 12).tolist()) == list(range(12))


def test_classes_are_matched_one_by_one():
    data = gaussian_splits(400, 4)
    rng, ctx = np.random.default_rng(3), Context(1, 0, data)
    images = np.clip(rng.normal(118, 40, (2_000, 4, 4, 1)), 0, 255).astype(np.uint8)
    pool = Pool.of(images, np.arange(2_000) % 2, 0)
    rows = CentreMatching(61, Flat())(pool, ctx)
    assert np.bincount(pool.condition[rows]).tolist() == [31, 30]
    x, real = Flat()(pool, ctx), Flat()(data.real, ctx)
    for label in (0, 1):
        target = real[data.real.condition == label].mean(axis=0)
        of_class = pool.condition == label
        error = np.linalg.norm(x[rows[of_class[rows]]].mean(axis=0) - target)
        assert error < 0.25 * np.linalg.norm(x[of_class].mean(axis=0) - target)
    whole = CentreMatching(61, Flat(), per_class=False)(pool, ctx)
    assert np.linalg.norm(x[whole].mean(axis=0) - real.mean(axis=0)) < 0.25 * np.linalg.norm(x.mean(axis=0) - real.mean(axis=0))


def test_errors_say_what_to_do(tiny):
    pool, ctx = Pool.of(np.zeros((10, 4, 4, 1), np.uint8), np.repeat([0, 1], [2, 8]), 0), Context(1, 0, tiny)
    with pytest.raises(BadInput, match="CentreMatching was asked for 11 of 10 rows"):
        CentreMatching(11, Flat())(pool, ctx)
    with pytest.raises(BadInput, match="needs 4 rows of class 0 and real ones to match, but 2 are on offer and 10 in R"):
        CentreMatching(8, Flat())(pool, ctx)
