"""Growth of class displacement: planted worlds whose growth is known."""

import numpy as np
import pytest

from germline.core.displacement import class_means
from germline.theory import growth


def world(h, n=400, classes=5, d=12, seed=0):
    """Rows of the data, and rows whose class displacement is h times the data's."""
    rng = np.random.default_rng(seed)
    centres, labels = rng.normal(size=(classes, d)), np.arange(n) % classes
    data = centres[labels] + 0.3 * rng.normal(size=(n, d))
    means = class_means(data, labels, np.arange(classes))
    moved = 5 + h * (means - means.mean(axis=0))[labels]  # the mean of all is elsewhere, which growth must not see
    noise = rng.normal(size=(n, d))
    noise -= class_means(noise, labels, np.arange(classes))[labels]
    return data, moved + 0.3 * noise, labels


@pytest.mark.parametrize("h", [0.4, 0.93, 1.0, 2.7])
def test_growth_is_the_factor_on_the_displacement(h):
    data, samples, labels = world(h)
    assert growth.estimated_growth(samples, labels, data, labels) == pytest.approx(h, rel=1e-9)


def test_what_is_orthogonal_to_the_data_is_no_growth():
    data, _, labels = world(1.0)
    other = np.zeros_like(data)
    assert growth.estimated_growth(np.hstack([data, 9 * data]), labels, np.hstack([data, other]), labels) == pytest.approx(1.0)


def test_only_common_classes_count():
    data, samples, labels = world(0.5)
    assert growth.estimated_growth(samples[labels > 1], labels[labels > 1], data[labels > 1], labels[labels > 1]) > 0
    with pytest.raises(ValueError, match="two classes in samples and data, but there is 1"):
        growth.estimated_growth(samples, labels, data[labels == 2], labels[labels == 2])
    with pytest.raises(ValueError, match="all equal"):
        growth.estimated_growth(samples, labels, np.ones_like(data), labels)


def test_the_critical_scale_of_the_specifications_toy():
    """Section 7.2: Ghat at s = 1/1.25/1.5/2/3/5 crosses 1 at 1.10, 1.15 and 1.24."""
    scales = (1, 1.25, 1.5, 2, 3, 5)
    for growths, want in (
        ((0.93, 1.11, 1.27, 1.56, 2.07, 3.02), 1.10),
        ((0.90, 1.07, 1.21, 1.47, 1.90, 2.68), 1.15),
        ((0.85, 1.01, 1.14, 1.38, 1.76, 2.41), 1.24),
    ):
        assert growth.critical_scale(scales, growths) == pytest.approx(want, abs=0.01)


def test_the_critical_scale_is_linear_between_two_scales():
    assert growth.critical_scale((1, 2), (0.8, 1.6)) == pytest.approx(growth.critical_scale_of_equal_spreads(0.8))
    assert growth.critical_scale((1, 2, 3), (0.8, 1.0, 1.2)) == 2
    assert growth.critical_scale((1, 2), (1.0, 1.5)) == 1
    assert growth.critical_scale((1, 2), (0.5, 0.9)) is None
    assert growth.critical_scale((1, 2), (1.1, 2.0)) is None
    with pytest.raises(ValueError, match="rising scales"):
        growth.critical_scale((2, 1), (0.5, 1.5))


def test_displacement_is_a_power_of_the_growth():
    assert growth.displacement(0.8, 1.5, 3) == pytest.approx([1.2, 1.44, 1.728])


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_leak_is_the_share_of_the_way(share):
    base, data = np.array([1.0, 0.0, 2.0]), np.array([2.0, 3.0, 2.0])
    aside = np.array([0.0, 0.0, 7.0])  # orthogonal to the way
    assert growth.null_branch_leak(base + share * (data - base) + aside, base, data) == pytest.approx(share)
    with pytest.raises(ValueError, match="their means are equal"):
        growth.null_branch_leak(base, data, data)
