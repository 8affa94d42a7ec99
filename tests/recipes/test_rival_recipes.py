"""The rival recipes in the loop: what each trains on, how much, and from where. Features are pixels here, to fit no classifier."""

from dataclasses import replace

import numpy as np
import pytest

from germline.data import digits
from germline.diffusion.model import Pair
from germline.features import Classifier, Pixels
from germline.loop import Loop
from germline.recipes.centre_matching import centre_matching
from germline.recipes.curation import curation
from germline.recipes.density_ratio import density_ratio
from germline.recipes.k_means_coverage import k_means_coverage
from germline.recipes.neon import neon
from germline.recipes.self_correction import self_correction
from germline.recipes.setup import Setup
from germline.recipes.sims import sims
from germline.scorers import Agreement

N = 100
TINY = Setup(founder_images=128, images=128, batch=64, channels=(8, 16), steps=2, guidance_scale=1.0)
DATA = digits({"real": N, "reserve": 100, "judge": 400, "held_out": 100})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rivals")


def last(folder, name, recipe, generations=1):
    *_, generation = Loop.at(folder / name, recipe, DATA).run(generations)
    return generation


def test_sims_keeps_generation_0_and_trains_the_copy_on_its_samples(folder):
    made = last(folder, "sims", sims(N, 0.5, setup=TINY))
    assert isinstance(made.model, Pair)
    assert made.model.scale == 1.5
    training = made.training(DATA)
    assert (training.generation == 0).all()
    assert len(training) == N
    assert made.images_seen() == 128


def test_sims_on_accumulated_data_spends_one_budget_on_both(folder):
    made = last(folder, "acur-sims", sims(N, 0.5, "accumulate", TINY))
    assert made.images_seen() == 128
    training = made.training(DATA)
    assert len(training) == N
    assert 0.3 < training.real.mean() < 0.7
    first = Loop.at(folder / "acur-sims", sims(N, 0.5, "accumulate", TINY), DATA).chain[0].model
    names = ("first.weight", "last.weight")
    weights = lambda model: np.concatenate([dict(model.network.state_dict())[name].numpy().ravel() for name in names])
    assert (weights(made.model.good) != weights(first)).any()
    assert (weights(made.model.good) != weights(made.model.bad)).any()


def test_neon_undoes_what_replace_does(folder):
    """Equal data and seeds: w = -1 is replace's model, and w = 1 lies as far on the other side of generation 0."""
    models = {w: last(folder, f"neon{w}", neon(N, w, TINY)).arrays() for w in (-1.0, 0.0, 1.0)}
    for name, still in models[0.0].items():
        np.testing.assert_allclose(models[1.0][name] - still, still - models[-1.0][name], atol=1e-5)
    moved = [np.abs(models[1.0][name] - still).max() for name, still in models[0.0].items()]
    assert max(moved) > 1e-3


def test_neon_of_zero_never_moves(folder):
    chain = Loop.at(folder / "still", neon(N, 0.0, TINY), DATA)
    zero, one, two = (generation.arrays() for generation in chain.run(2))
    assert all(np.array_equal(zero[name], one[name]) and np.array_equal(zero[name], two[name]) for name in zero)


def test_self_correction_shrinks_the_spread_around_the_centres(folder):
    spread = {g: last(folder, f"sc{g}", self_correction(N, g, 2, setup=TINY), 0).samples.images[:].var(axis=0).mean() for g in (0.0, 0.9)}
    assert spread[0.9] < spread[0.0]
    augmented = last(folder, "sc-augment", self_correction(N, 0.5, 2, "augment", TINY)).training(DATA)
    assert (len(augmented), augmented.real.mean()) == (2 * N, 0.5)


@pytest.mark.parametrize("loop, rows, share", [("replace", N, 0.0), ("augment", 2 * N, 0.5)])
def test_curation_keeps_one_in_k_of_every_class_and_the_better_ones(folder, loop, rows, share):
    recipe = curation(N, k=3, temperature=0.0, loop=loop, setup=TINY)
    recipe = replace(recipe, scorers=(Agreement(Classifier(seed=2, images=1_280)),))
    made = last(folder, f"curation-{loop}", recipe)
    training, offer = made.training(DATA), made.offer(DATA)
    assert (len(training), training.real.mean()) == (rows, share)
    kept = training.take(~training.real)
    assert np.bincount(kept.condition).tolist() == [10] * 10
    assert kept.columns["agreement"].mean() > offer.columns["agreement"][~offer.real].mean()
    assert recipe.sampler.n == 3 * N


@pytest.mark.parametrize("make", [k_means_coverage, centre_matching])
def test_selectors_choose_n_of_everything_so_far(folder, make):
    recipe = make(N, setup=TINY)
    assert recipe.selector is not None
    recipe = replace(recipe, selector=replace(recipe.selector, extractor=Pixels()))
    made = last(folder, make.__name__, recipe)
    assert len(made.training(DATA)) == N
    assert len(made.offer(DATA)) == 2 * N


@pytest.mark.parametrize("loop, rows", [("accumulate", N), ("replace", N)])
def test_density_ratios_reach_the_record_and_leave_real_rows_alone(folder, loop, rows):
    recipe = density_ratio(N, 2.0, loop, TINY)
    recipe = replace(recipe, weighters=tuple(replace(weighter, extractor=Pixels()) for weighter in recipe.weighters))
    training = last(folder, f"ratio-{loop}", recipe).training(DATA)
    assert len(training) == rows
    assert (training.log_weight[training.real] == 0).all()
    made = training.log_weight[~training.real]
    assert (np.abs(made) <= 2).all()
    assert made.std() > 0
