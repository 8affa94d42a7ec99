from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool
from germline.selectors import Among, Densest, Farthest, Matched, PerClass, RealShare, Stratified, ThresholdDecay, Top, Uniform


@dataclass(frozen=True)
class Flat:
    def __call__(self, pool, ctx):
        return np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)


@pytest.fixture
def ctx(tiny, tmp_path):
    return Context(generation=3, seed=0, data=tiny, cache=Cache(tmp_path / "cache"))


def pool_of(sizes, classes=3):
    pools = []
    for generation, n in sizes.items():
        images = np.random.default_rng(generation + 5).integers(0, 256, (n, 2, 2, 1), dtype=np.uint8)
        pools.append(Pool.of(images, np.arange(n) % classes, generation, {"taste": np.arange(n) % 4 + 10.0 * generation}))
    return Pool.concat(pools)


OFFER = pool_of({REAL: 30, 0: 30, 1: 30})


@pytest.mark.parametrize(
    "selector",
    [
        Uniform(20),
        Stratified(20),
        Top(20, "taste"),
        Top(20, "taste", True),
        Farthest(20, Flat()),
        ThresholdDecay(20, Flat()),
        RealShare(20, 0.3),
        Matched(Top(20, "taste")),
    ],
    ids=lambda s: type(s).__name__,
)
def test_rows_are_distinct_and_depend_on_the_seed_only(selector, ctx, tiny, tmp_path):
    rows = selector(OFFER, ctx)
    assert len(rows) == len(set(rows.tolist())) == 20
    assert rows.min() >= 0
    assert rows.max() < 90
    np.testing.assert_array_equal(rows, selector(OFFER, ctx))
    others = [selector(OFFER, Context(3, seed, tiny, cache=Cache(tmp_path / "cache"))).tolist() for seed in range(1, 6)]
    assert any(other != rows.tolist() for other in others)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 5))
def test_stratified_gives_exactly_n_remainders_to_the_oldest(n, sources):
    pool = pool_of(dict.fromkeys(range(REAL, REAL + sources), 90))
    rows = Stratified(n)(pool, Context(1, 0, None))
    counts = [int((pool.generation[rows] == g).sum()) for g in range(REAL, REAL + sources)]
    assert sum(counts) == n == len(set(rows.tolist()))
    assert counts == sorted(counts, reverse=True)
    assert max(counts) - min(counts) <= 1


def test_top_takes_the_best_and_breaks_ties_by_seed(tiny):
    rows = Top(40, "taste")(OFFER, Context(1, 0, tiny))
    taste = OFFER.columns["taste"]
    assert (np.diff(taste[rows]) <= 0).all()
    assert taste[rows].min() >= np.sort(taste)[-40]
    assert set(rows.tolist()) != set(Top(40, "taste")(OFFER, Context(1, 1, tiny)).tolist())


def test_top_per_class_keeps_quotas_and_the_best_of_each_class(ctx):
    rows = Top(20, "taste", per_class=True)(OFFER, ctx)
    assert np.bincount(OFFER.condition[rows]).tolist() == [7, 7, 6]
    taste = OFFER.columns["taste"]
    for label, quota in enumerate([7, 7, 6]):
        of_class = OFFER.condition == label
        best = np.sort(taste[of_class])[::-1][:quota]
        np.testing.assert_array_equal(np.sort(taste[rows[of_class[rows]]])[::-1], best)


def test_real_share_is_exact(ctx):
    rows = RealShare(25, 0.3)(OFFER, ctx)
    assert OFFER.real[rows].sum() == round(0.3 * 25)


def test_uniform_gives_every_row_the_same_chance(tiny):
    counts = np.zeros(30)
    pool = OFFER.take(np.arange(30))
    for seed in range(400):
        counts[Uniform(10)(pool, Context(1, seed, tiny))] += 1
    share = counts / 400
    assert abs(share - 1 / 3).max() < 5 * np.sqrt(2 / 9 / 400)


def test_among_keeps_all_other_rows_in_front(ctx):
    rows = Among(Top(5, "taste"), "made")(OFFER, ctx)
    assert rows[:30].tolist() == list(range(30))
    assert set(rows[30:].tolist()) <= set(np.flatnonzero(OFFER.columns["taste"] == 13).tolist())
    rows = Among(Uniform(5), (0,))(OFFER, ctx)
    assert rows[:60].tolist() == [*range(30), *range(60, 90)]
    assert ((rows[60:] >= 30) & (rows[60:] < 60)).all()
    assert len(Among(Uniform(5), "real")(OFFER, ctx)) == 65


def test_matched_has_the_real_share_and_the_label_counts_of_its_selector_and_nothing_else(ctx):
    theirs = Top(20, "taste")(OFFER, ctx)
    ours = Matched(Top(20, "taste"))(OFFER, ctx)
    for label in range(3):
        for real in (True, False):
            kind = (OFFER.condition == label) & (OFFER.real == real)
            assert kind[ours].sum() == kind[theirs].sum()
    assert OFFER.columns["taste"][ours].mean() < OFFER.columns["taste"][theirs].mean()


def test_densest_takes_the_tight_cluster_and_farthest_does_not(ctx):
    images = np.full((30, 2, 2, 1), 20, np.uint8)
    images[:10, 0, 0, 0] = np.arange(10)  # neighbours at distance 1
    images[10:, 0, 1, 0] = np.arange(20) * 10 + 40  # at distance 10
    pool = Pool.of(images)
    assert set(Densest(10, Flat())(pool, ctx).tolist()) == set(range(10))
    assert (Farthest(10, Flat())(pool, ctx) < 10).sum() <= 1


def test_per_class_lets_the_selector_loose_on_each_class(ctx):
    rows = PerClass(Top(4, "taste"))(OFFER, ctx)
    assert np.bincount(OFFER.condition[rows]).tolist() == [4, 4, 4]
    for label in range(3):
        of_class = np.flatnonzero(OFFER.condition == label)
        best = np.sort(OFFER.columns["taste"][of_class])[::-1][:4]
        np.testing.assert_array_equal(OFFER.columns["taste"][rows[OFFER.condition[rows] == label]], best)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (Uniform(91), "Uniform was asked for 91 of 90 rows"),
        (Uniform(0), "Uniform was asked for 0"),
        (Stratified(0), "Stratified was asked for 0"),
        (Stratified(93), "needs 31 rows of each source for n = 93, but the real data offers 30"),
        (Top(91, "taste"), "Top was asked for 91 of 90"),
        (Top(5, "beauty"), "Top needs the column 'beauty', but the pool's columns are: taste"),
        (RealShare(60, 0.6), "needs 36 real rows for n = 60 and share 0.6, but 30 are on offer"),
        (RealShare(6, 1.5), "share from 0 to 1"),
        (Among(Uniform(3), (7,)), r"Among found no rows of \(7,\); the pool has generations -1, 0, 1"),
        (Densest(91, Flat()), "Densest was asked for 91 of 90 rows"),
        (PerClass(Uniform(31)), "Uniform was asked for 31 of 30 rows"),
        (Farthest(91, Flat()), "Farthest must choose between 1 and 90 rows, as many as are on offer, but was asked for 91"),
    ],
)
def test_errors_say_what_to_do(selector, message, ctx):
    with pytest.raises(BadInput, match=message):
        selector(OFFER, ctx)


def test_top_per_class_needs_enough_of_each_class(ctx):
    pool = OFFER.take((OFFER.condition > 0) | (np.arange(90) < 4))
    with pytest.raises(BadInput, match="needs 20 rows of each class for n = 60, but class 0 offers 2"):
        Top(60, "taste", per_class=True)(pool, ctx)
