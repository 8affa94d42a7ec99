"""k-means coverage: equal counts of known clusters, and how counts are levelled."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.selectors import KMeansCoverage
from germline.selectors.k_means_coverage import even


@dataclass(frozen=True)
class Flat:
    cached = False

    def __call__(self, pool, ctx):
        return np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)


def clouds(sizes, seed=0):
    """Tight clouds of these sizes far apart from one another, shuffled; and which cloud a row is of."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    corners = np.array([[20, 20], [20, 220], [220, 20], [220, 220]])
    x = corners[which] + rng.integers(-8, 9, (len(which), 2))
    return Pool.of(x.astype(np.uint8).reshape(-1, 1, 2, 1)), which


@pytest.mark.parametrize("take", ["random", "nearest"])
def test_every_cloud_gives_the_same_number(tiny, take):
    pool, which = clouds([200, 60, 30, 10])
    rows = KMeansCoverage(36, Flat(), clusters=4, take=take)(pool, Context(1, 0, tiny))
    assert np.bincount(which[rows]).tolist() == [9, 9, 9, 9]
    rows = KMeansCoverage(100, Flat(), clusters=4, take=take)(pool, Context(1, 0, tiny))
    assert np.bincount(which[rows]).tolist() == [30, 30, 30, 10], "a small cluster gives all it has"


def test_nearest_takes_the_typical_and_random_does_not(tiny):
    pool, which = clouds([100, 100, 100, 100])
    x = Flat()(pool, None)
    centres = np.stack([x[which == cloud].mean(axis=0) for cloud in range(4)])
    far = np.linalg.norm(x - centres[which], axis=1)
    nearest, random = (KMeansCoverage(40, Flat(), 4, take)(pool, Context(1, 0, tiny)) for take in ("nearest", "random"))
    for cloud in range(4):
        assert far[nearest[which[nearest] == cloud]].max() <= np.sort(far[which == cloud])[9] + 1e-4
    assert far[random].mean() > 2 * far[nearest].mean()


def test_more_clusters_than_distinct_rows_take_each_once(tiny):
    pool = Pool.of(np.repeat(np.arange(5, dtype=np.uint8) * 50, 20).reshape(-1, 1, 1, 1))
    rows = KMeansCoverage(10, Flat(), clusters=99)(pool, Context(1, 0, tiny))
    assert np.bincount(pool.images[rows].ravel() // 50).tolist() == [2, 2, 2, 2, 2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(any), st.data())
def test_counts_are_as_even_as_sizes_allow(sizes, data):
    n = data.draw(st.integers(1, sum(sizes)))
    sizes = np.array(sizes)
    counts = even(sizes, n, np.arange(len(sizes))[::-1])
    assert counts.sum() == n
    assert (counts <= sizes).all()
    short = counts < sizes
    assert not short.any() or counts.max() - counts[short].min() <= 1, "no cluster gives less while another gives two more"


def test_errors_say_what_to_do(tiny):
    pool, _ = clouds([10, 10, 10, 10])
    with pytest.raises(BadInput, match="KMeansCoverage was asked for 41 of 40 rows"):
        KMeansCoverage(41, Flat())(pool, Context(1, 0, tiny))
    with pytest.raises(BadInput, match="needs a cluster or more, but got 0"):
        KMeansCoverage(4, Flat(), clusters=0)(pool, Context(1, 0, tiny))
