import numpy as np
import pytest
from scipy import stats

from germline.core.intervals import over_seeds, paired


def test_the_interval_is_scipys():
    values = [1.0, 2.5, 0.5, 3.0, 2.0]
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    ours = over_seeds(values)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_a_shift_that_both_share_cancels():
    shift = np.array([10.0, -50.0, 200.0, 3.0])
    difference = paired((shift + np.array([1.0, 1.1, 0.9, 1.0])).tolist(), shift.tolist())
    assert difference.mean == pytest.approx(1.0)
    assert difference.excludes_zero


@pytest.mark.parametrize("n", [1, 2])
def test_under_three_seeds_there_is_no_interval_and_no_ordering(n):
    few = over_seeds([5.0] * n)
    assert (few.low, few.high, few.excludes_zero) == (None, None, False)


def test_coverage_of_the_interval():
    rng = np.random.default_rng(0)
    inside = [(i := over_seeds(rng.normal(2, 3, 4).tolist())).low < 2 < i.high for _ in range(4_000)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_seeds_must_match():
    with pytest.raises(ValueError):
        paired([1.0, 2.0], [1.0])
