"""Two selectors in a row: the second sees only what the first chose."""

from dataclasses import dataclass

import numpy as np
import pytest

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.selectors import Farthest, Matched, Then, Top, Uniform


@dataclass(frozen=True)
class Brightness:
    """One feature: the value of a one-pixel image."""

    def __call__(self, pool, ctx):
        return np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)


# The value of row i is 3 i, shuffled; its score falls as the value rises, so the ten best are the ten darkest rows.
VALUE = np.random.default_rng(0).permutation(30)
POOL = Pool.of((3 * VALUE).astype(np.uint8)[:, None, None, None], VALUE % 2, columns={"score": -1.0 * VALUE})


@pytest.fixture
def ctx(tiny):
    return Context(1, 0, tiny)


@pytest.mark.parametrize("seed", range(5))
def test_the_rows_farthest_apart_among_the_best(tiny, seed):
    """The first of the two is drawn at random; the other is then an end of what is on offer, so at least half its width away."""
    best, all_of_them = (first_of(VALUE, tiny, seed, n) for n in (10, 30))
    assert best.max() <= 9
    assert np.ptp(best) >= 5
    assert np.ptp(all_of_them) >= 15


def first_of(value, tiny, seed, n):
    """The values of two rows far apart among the n best."""
    return value[Then(Top(n, "score"), Farthest(2, Brightness()))(POOL, Context(1, seed, tiny))]


def test_the_order_of_choice_is_the_second_ones(ctx):
    worst_first = POOL.with_column("other", 1.0 * VALUE)
    np.testing.assert_array_equal(VALUE[Then(Top(10, "score"), Top(4, "other"))(worst_first, ctx)], [9, 8, 7, 6])


def test_the_second_one_sees_columns_labels_and_a_first_of_all_rows_changes_nothing(ctx):
    assert set(Then(Uniform(30), Top(10, "score", per_class=True))(POOL, ctx)) == set(Top(10, "score", per_class=True)(POOL, ctx))


def test_a_matched_draw_has_its_label_counts(ctx):
    both = Then(Top(9, "score"), Top(5, "score"))
    np.testing.assert_array_equal(*(np.bincount(POOL.condition[selector(POOL, ctx)]) for selector in (both, Matched(both))))


def test_the_second_one_cannot_choose_more_than_the_first(ctx):
    with pytest.raises(BadInput, match="Top was asked for 11 of 10 rows"):
        Then(Top(10, "score"), Top(11, "score"))(POOL, ctx)
