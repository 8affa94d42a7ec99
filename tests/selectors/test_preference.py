"""Preference sampling in closed form, on tables that can be done by hand."""

import itertools

import numpy as np
import pytest

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.selectors import Preference
from germline.selectors.preference import fronts, ranks

pytestmark = pytest.mark.filterwarnings("ignore:.*all that are left")  # some take fewer on purpose
CTX = Context(1, 0, None)
#         a     b
TABLE = [[1.0, 9.0], [2.0, 9.0], [3.0, 1.0], [3.0, 5.0], [0.0, 9.5]]


def offer(table=TABLE, conditions=None, images=None):
    n = len(table)
    images = np.random.default_rng(0).integers(0, 256, (n, 2, 2, 1), dtype=np.uint8) if images is None else images
    columns = {name: np.array(column, float) for name, column in zip("abcd", zip(*table, strict=True), strict=False)}
    return Pool.of(images, np.array([f"prompt {i}" for i in range(n)]) if conditions is None else np.array(conditions), columns=columns)


def chosen(pool, n=5, **fields):
    return Preference(n, **{"by": ("a", "b"), **fields})(pool, CTX).tolist()


def test_rank_sum_by_hand():
    # ranks of a: 2, 3, 4.5, 4.5, 1; of b: 3.5, 3.5, 1, 2, 5; sums: 5.5, 6.5, 5.5, 6.5, 6
    np.testing.assert_array_equal(ranks(np.array(TABLE)), [[2, 3.5], [3, 3.5], [4.5, 1], [4.5, 2], [1, 5]])
    assert chosen(offer()) == [1, 3, 4, 0, 2], "ties in the order of conditions"
    assert chosen(offer(conditions=list("edcba"))) == [3, 1, 4, 2, 0], "the conditions' order, not the rows'"
    # b counts double: 9, 10, 6.5, 8.5, 11
    assert chosen(offer(), weights=(1, 2)) == [4, 1, 0, 3, 2]
    assert chosen(offer(), weights=(0, 1)) == [4, 0, 1, 3, 2]
    assert chosen(offer(), n=2) == [1, 3]


def test_rank_sum_has_no_scale():
    stretched = [[np.exp(10 * a), b**3 - 7] for a, b in TABLE]
    assert chosen(offer(stretched)) == chosen(offer())


def test_z_score_by_hand():
    a, b = np.array(TABLE).T
    total = (a - a.mean()) / a.std() + 3 * (b - b.mean()) / b.std()
    assert chosen(offer(), mode="z_score", weights=(1, 3)) == np.argsort(-total).tolist()
    with pytest.raises(BadInput, match="the score 'b' is the same in every row, so it has no z-score; leave it out"):
        chosen(offer([[1, 2], [3, 2]]), n=1, mode="z_score")


def test_thresholds_by_hand():
    assert chosen(offer(), n=3, mode="thresholds", floors=(1, 5)) == [3, 1, 0], "at a floor is above it; best first by a"
    assert chosen(offer(), n=2, mode="thresholds", floors=(5, 1), by=("b", "a")) == [0, 1]
    with pytest.raises(
        BadInput, match=r"asked for 4 rows, but 3 of 5 are left with 1 a prompt at most: 0 are of one colour, 2 below a floor"
    ):
        chosen(offer(), n=4, mode="thresholds", floors=(1, 5))
    with pytest.warns(UserWarning, match="generation 1 takes 3 rows, all that are left of 5, not the 4 asked for"):
        assert chosen(offer(), n=4, mode="thresholds", floors=(1, 5), allow_fewer=True) == [3, 1, 0]
    # the median of a is 2, the lower quartile of b 5
    assert chosen(offer(), n=5, mode="thresholds", floors=(0.5, 0.25), floors_are="quantiles", allow_fewer=True) == [3, 1]
    with pytest.raises(BadInput, match="asked for 1 rows, but 0 of 5 are left"):
        chosen(offer(), n=1, mode="thresholds", floors=(99, 99), allow_fewer=True)
    with pytest.raises(BadInput, match=r"quantiles are from 0 to 1, but are \(3.0, 5.0\)"):
        chosen(offer(), n=1, mode="thresholds", floors=(3.0, 5.0), floors_are="quantiles")


def test_pareto_by_hand():
    # 1 beats 0, 3 beats 2; 1, 3 and 4 are beaten by none
    np.testing.assert_array_equal(fronts(np.array(TABLE)), [1, 0, 1, 0, 0])
    assert chosen(offer(), mode="pareto") == [1, 3, 4, 0, 2]
    assert chosen(offer(), n=2, mode="pareto") == [1, 3], "the front that overflows is cut by rank sums"
    np.testing.assert_array_equal(fronts(np.array([[1.0, 1], [1, 1], [0, 1], [0, 0]])), [0, 0, 1, 2])
    np.testing.assert_array_equal(fronts(np.arange(6.0)[:, None]), [5, 4, 3, 2, 1, 0])


def test_fronts_are_those_of_brute_force():
    scores = np.random.default_rng(0).integers(0, 12, (600, 3)).astype(float)
    left, number, expected = set(range(600)), 0, np.zeros(600, int)
    while left:
        front = [i for i in left if not any((scores[j] >= scores[i]).all() and (scores[j] > scores[i]).any() for j in left)]
        expected[front] = number
        left -= set(front)
        number += 1
    np.testing.assert_array_equal(fronts(scores), expected)
    assert number > 3


def test_the_cap_of_a_prompt():
    table = [[9, 9], [8, 8], [7, 7], [6, 6], [5, 5], [4, 4]]
    pool = offer(table, conditions=["x", "x", "x", "y", "y", "z"])
    assert chosen(pool, n=3) == [0, 3, 5]
    assert chosen(pool, n=5, cap=2) == [0, 1, 3, 4, 5]
    assert chosen(pool, n=6, cap=None) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(BadInput, match="asked for 4 rows, but 3 of 6 are left with 1 a prompt at most.*raise cap"):
        chosen(pool, n=4)
    assert chosen(pool, n=4, allow_fewer=True) == [0, 3, 5]
    for mode in ("rank_sum", "z_score", "pareto"):
        assert chosen(pool, n=3, mode=mode) == [0, 3, 5]
    classes = offer(table, conditions=[2, 2, 2, 1, 1, 0])
    assert chosen(classes, n=3) == [0, 3, 5]


def test_ties_go_by_condition_then_origin():
    pool = offer([[1.0, 1.0]] * 4, conditions=["b", "a", "b", "a"])
    assert chosen(pool, n=4, cap=None) == [1, 3, 0, 2]
    turned = pool.take([3, 2, 1, 0])
    assert turned.origin[chosen(turned, n=4, cap=None), 1].tolist() == [1, 3, 0, 2], "whatever their order in the offer"


def test_the_order_of_the_offer_is_of_no_consequence():
    pool = offer(np.random.default_rng(1).integers(0, 4, (40, 2)).astype(float), conditions=np.arange(40) // 4)
    for mode, shuffle in itertools.product(("rank_sum", "z_score", "pareto"), (1, 2)):
        turned = pool.take(np.random.default_rng(shuffle).permutation(40))
        part = {"n": 10, "mode": mode}
        assert turned.origin[chosen(turned, **part), 1].tolist() == pool.origin[chosen(pool, **part), 1].tolist()


def test_images_of_one_colour_are_never_chosen_and_count_in_no_rank():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 3, 3), dtype=np.uint8)
    images[1] = (10, 20, 30)
    pool = offer(images=images)
    found = chosen(pool, n=4)
    without = pool.take([0, 2, 3, 4])
    assert found == [[0, 2, 3, 4][row] for row in chosen(without, n=4)]
    with pytest.raises(BadInput, match="asked for 5 rows, but 4 of 5 are left.*1 are of one colour"):
        chosen(pool)
    black = offer(images=np.zeros((5, 3, 3, 3), np.uint8))
    with pytest.raises(BadInput, match="0 of 5 are left.*5 are of one colour"):
        chosen(black, n=1, allow_fewer=True)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"n": 0}, "n and cap from 1 and a column, but got n = 0"),
        ({"cap": 0}, "cap = 0"),
        ({"by": ()}, "0 columns"),
        ({"weights": (1.0,)}, "one of weights for each of 2 columns, but got 1"),
        ({"weights": (1.0, -1.0)}, r"weights must be 0 or more, and one above 0, but are \(1.0, -1.0\)"),
        ({"weights": (0.0, 0.0)}, "one above 0"),
        ({"weights": (float("nan"), 1.0)}, "weights must be"),
        ({"floors": (1.0, 2.0)}, r"floors go with thresholds, but the mode is rank_sum"),
        ({"mode": "thresholds"}, "floors go with thresholds, but .* the floors are None"),
        ({"by": ("a", "hps")}, "needs the column 'hps', but the pool's columns are: a, b. Add the scorer of that name"),
    ],
)
def test_faults_are_named(fields, says):
    with pytest.raises(BadInput, match=says):
        chosen(offer(), **fields)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers(bad):
    with pytest.raises(BadInput, match=f"the score 'b' of row 2 is {bad}; scores must be numbers"):
        chosen(offer([[1, 2], [2, 3], [3, bad]]), n=1)
