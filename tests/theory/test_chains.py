"""Whole loops on disk against the closed-form laws of variance loss."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import digamma

from conftest import gaussian_recipe, gaussian_splits
from germline.loop import Loop
from germline.mixers import Accumulate, Augment, RealOnly, Replace
from germline.selectors import Uniform
from germline.theory import chains
from germline.trainers.gaussian import FitGaussian

# 12 grey levels: rounding adds 0.06 % variance a generation, and clipping at 0 and 255 is more than ten standard deviations away.
N, GENERATIONS, SIDE, SD = 20, 10, 160, 12.0


def variance_ratio(tmp_path, recipe) -> float:
    data = gaussian_splits(N, SIDE, sd=SD)
    *_, last = Loop.at(tmp_path / "run", recipe, data).run(GENERATIONS)
    return float(last.arrays()["variance"].mean() / SD**2)


@pytest.mark.parametrize(
    ("mixer", "law"),
    [
        (Replace(), chains.replace(N, GENERATIONS)),
        (Accumulate(), chains.accumulate(N, GENERATIONS)),
        (Augment(1.0), chains.augment(N, GENERATIONS, 1.0)),
        (RealOnly(), chains.replace(N, 0)),
    ],
    ids=["replace", "accumulate", "augment", "real-only"],
)
def test_variance_follows_the_law(tmp_path, mixer, law):
    # 25,600 independent chains; a chain's log variance has a standard deviation near 1, so the mean variance one near 1 %.
    assert variance_ratio(tmp_path, gaussian_recipe(N, mixer)) == pytest.approx(law, rel=0.03)


def test_a_uniform_subsample_of_everything_follows_the_law(tmp_path):
    # All pixels of a run share the chosen rows, so several runs are averaged: a standard error near 0.2 %.
    ratios = []
    for seed in range(12):
        recipe = gaussian_recipe(N, Accumulate(), selector=Uniform(N))
        *_, last = Loop.at(tmp_path / str(seed), recipe, gaussian_splits(N, 48, sd=SD, seed=seed), seed=seed).run(GENERATIONS)
        ratios.append(last.arrays()["variance"].mean() / SD**2)
    assert np.mean(ratios) == pytest.approx(chains.accumulate_subsample(N, GENERATIONS), rel=0.015)


def test_unbiased_fits_keep_the_mean_variance_while_almost_every_chain_collapses(tmp_path):
    # arXiv 2307.01850, Section 3.1: with divisor n - 1 look at the mean log variance, which falls.
    recipe = replace(gaussian_recipe(N), founder=FitGaussian(ddof=1), trainer=FitGaussian(ddof=1))
    data = gaussian_splits(N, SIDE, sd=SD)
    variances = [generation.arrays()["variance"] / SD**2 for generation in Loop.at(tmp_path / "run", recipe, data).run(GENERATIONS)]
    assert variances[-1].mean() == pytest.approx(1.0, rel=0.03)
    # E log chi2_{n-1}/(n-1) = psi((n-1)/2) - log((n-1)/2), once a generation.
    fall = (digamma((N - 1) / 2) - np.log((N - 1) / 2)) * (GENERATIONS + 1)
    assert np.log(variances[-1]).mean() == pytest.approx(fall, rel=0.03)


def test_published_constants():
    values = [chains.replace(20, 10), chains.accumulate(20, 10), chains.accumulate_subsample(20, 10), chains.augment(20, 10, 1.0)]
    assert np.round(values, 4).tolist() == [0.5688, 0.9238, 0.8728, 0.9344]


def test_accumulation_keeps_the_published_limit():
    limit = np.sin(np.pi / np.sqrt(20)) / (np.pi / np.sqrt(20))
    assert chains.accumulate(20, 100_000) == pytest.approx(limit, rel=1e-4)
