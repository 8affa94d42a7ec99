"""Growth along single images, on planted captions."""

import numpy as np
import pytest

from germline.core.errors import BadInput
from germline.theory.one_image import OneImage

N, D = 600, 40
BETWEEN, WITHIN = 1.0, 1.5  # standard deviations of a value


def world(seed):
    """Captions' means, one image of each, and what is of the image alone."""
    rng = np.random.default_rng(seed)
    told = rng.normal(0, BETWEEN, (N, D))
    own = rng.normal(0, WITHIN, (N, D))
    return told, own, rng


def test_b_and_w_are_the_planted_ones():
    told, own, rng = world(0)
    draws = told[:300, None] + rng.normal(0, WITHIN, (300, 2, D))
    law = OneImage.of(told + own, draws)
    assert law.within.mean() == pytest.approx(D * WITHIN**2, rel=0.02)
    assert law.between == pytest.approx(np.square(told - told.mean(0)).sum(), rel=0.06)
    assert law.total == pytest.approx(law.between + (N - 1) * law.within.mean())


@pytest.mark.parametrize("growth", [0.6, 1.0, 1.8])
@pytest.mark.parametrize("by_heart", [0.0, 0.5, 1.0])
def test_the_growth_lies_between_images_learned_by_heart_and_captions_alone(growth, by_heart):
    """N / B is right where captions alone are learned, N / (B + (n - 1) W) where images are; whatever lies between is held."""
    told, own, rng = world(1)
    law = OneImage.of(told + own, told[:300, None] + rng.normal(0, WITHIN, (300, 2, D)))
    samples = growth * (told + by_heart * own) + rng.normal(0, WITHIN, (N, D))
    low, high = law.moved(samples).sum() / law.total, law.moved(samples).sum() / law.between
    assert low - 0.05 * growth < growth < high + 0.05 * growth
    if by_heart == 0:
        assert high == pytest.approx(growth, rel=0.06)
    if by_heart == 1:
        assert low == pytest.approx(growth, rel=0.03)


def test_replicas_spread_as_new_captions_would():
    """The bootstrap's spread of N / B against that of worlds drawn anew."""
    values, spreads = [], []
    for seed in range(40):
        told, own, rng = world(seed)
        law = OneImage.of(told + own, told[:300, None] + rng.normal(0, WITHIN, (300, 2, D)))
        moved = law.moved(1.2 * told + rng.normal(0, WITHIN, (N, D)))
        values.append(moved.sum() / law.between)
        again = rng.integers(N, size=(100, N)), rng.integers(300, size=(100, 300))
        spreads.append(np.std(law.replicas(moved, *again)[1]))
    assert np.mean(spreads) == pytest.approx(np.std(values), rel=0.35)


def test_a_chain_multiplies_it_from_the_second_step_on_whichever_it_is():
    """What a sample says of itself is drawn anew, so N of later generations has the true growth, by heart or not."""
    told, own, rng = world(3)
    law = OneImage.of(told + own, told[:2, None] + rng.normal(0, 1, (2, 2, D)))
    for by_heart in (0.0, 1.0):
        shared, moved = 1.3 * (told + by_heart * own), []
        for _ in range(3):
            images = shared + rng.normal(0, WITHIN, (N, D))
            moved.append(law.moved(images).sum())
            shared = 1.3 * (images if by_heart else shared)
        assert moved[1] / moved[0] == pytest.approx(1.3, rel=0.06)
        assert moved[2] / moved[1] == pytest.approx(1.3, rel=0.06)


def test_what_cannot_be_told_says_why():
    with pytest.raises(ValueError, match="two draws"):
        OneImage.of(np.eye(5), np.zeros((5, 1, 5)))
    with pytest.raises(BadInput, match="three captions with different images"):
        OneImage.of(np.ones((5, 4)), np.zeros((5, 2, 4)))
    law = OneImage.of(np.eye(5), np.stack([np.eye(5) * 9, -np.eye(5) * 9], axis=1))
    assert law.between < 0
    moved = law.moved(np.eye(5))
    assert np.isinf(law.replicas(moved, np.arange(5)[None], np.arange(5)[None])[1]).all()
