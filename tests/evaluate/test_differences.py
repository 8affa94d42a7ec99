"""Paired differences against closed forms."""

import numpy as np
import pytest

from germline.evaluate.differences import ENOUGH, Mean, kinds, lines


def scored(seed, prompts=400, images=5, moved=0.3):
    """Scores = what a prompt gives + what the round adds + noise of an image."""
    rng = np.random.default_rng(seed)
    prompt = rng.normal(0, 3, (prompts, 1))
    added = moved + rng.normal(0, 0.5, (prompts, 1))
    return prompt + rng.normal(0, 1, (prompts, images)), prompt + added + rng.normal(0, 1, (prompts, images))


def test_the_interval_is_that_of_the_mean_of_the_prompts_differences():
    """The bootstrap's law of a mean has variance sum (d - mean)^2 / n^2: for 400 prompts close to a normal one."""
    first, last = scored(0)
    (base, moved) = lines("s", {"a": first, "b": last}, {"a": None, "b": "a"}, np.full(400, "x"))
    difference = (last - first).mean(axis=1)
    half = 1.96 * difference.std() / 20
    assert base.difference is None
    assert moved.difference.value == pytest.approx(difference.mean(), abs=1e-12)
    assert moved.difference.low == pytest.approx(difference.mean() - half, abs=0.15 * half)
    assert moved.difference.high == pytest.approx(difference.mean() + half, abs=0.15 * half)
    # Pairs take out what the prompts share: sd 3 of the means, sqrt(.5^2 + 2/5) of the differences.
    width = [line.high - line.low for line in (moved.mean, moved.difference)]
    assert width[0] / width[1] == pytest.approx(np.sqrt((9 + 0.25 + 0.2) / (0.25 + 0.4)), rel=0.15)
    assert moved.better == pytest.approx((difference > 0).mean())


def test_the_interval_holds_the_planted_difference_about_as_often_as_it_says():
    held = 0
    for seed in range(200):
        first, last = scored(seed, prompts=60, images=3)
        moved = lines("s", {"a": first, "b": last}, {"a": None, "b": "a"}, np.full(60, "x"))[1].difference
        held += moved.low <= 0.3 <= moved.high
    assert 0.90 <= held / 200 <= 0.985


def test_more_images_of_the_same_prompts_are_no_more_prompts():
    first, last = scored(1, prompts=50, images=1)
    once, often = (
        lines("s", {"a": np.repeat(first, k, 1), "b": np.repeat(last, k, 1)}, {"a": None, "b": "a"}, np.full(50, "x"))[1] for k in (1, 10)
    )
    assert once.prompts == often.prompts == 50
    assert (once.difference.low, once.difference.high) == pytest.approx((often.difference.low, often.difference.high))


def test_categories_are_lines_of_their_own_and_few_prompts_have_no_interval():
    first, last = scored(2, prompts=30)
    last[:10] = first[:10] + 1
    names = np.array(["up"] * 10 + ["rest"] * 15 + ["few"] * 5)
    found = {line.category: line for line in lines("s", {"a": first, "b": last}, {"a": None, "b": "a"}, names) if line.subject == "b"}
    assert list(found) == ["all", "up", "rest", "few"]
    assert found["up"].difference.value == pytest.approx(1)
    assert (found["up"].difference.low, found["up"].better) == (pytest.approx(1), 1.0)
    assert found["up"].difference.certain
    assert found["few"].prompts == 5 < ENOUGH
    assert (found["few"].difference.low, found["few"].mean.high) == (None, None)
    assert not found["few"].difference.certain
    weighed = sum(found[name].prompts * found[name].difference.value for name in ("up", "rest", "few")) / 30
    assert found["all"].difference.value == pytest.approx(weighed)


def test_ties_are_half_and_one_category_is_none():
    same = np.ones((12, 2))
    assert lines("s", {"a": same, "b": same}, {"a": None, "b": "a"}, np.full(12, ""))[1].better == 0.5
    assert kinds(["x", "x"]) == []
    assert Mean.of(np.ones(12)) == Mean(1.0, 1.0, 1.0)
