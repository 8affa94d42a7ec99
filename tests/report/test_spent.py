"""What an arm has cost, counted by hand."""

from dataclasses import replace

from conftest import gaussian_recipe, gaussian_splits
from germline.core.recipe import Recipe
from germline.data import digits
from germline.loop import Loop
from germline.mixers import Fresh, Replace
from germline.report.spent import Spent, spent
from germline.samplers import Denoised
from germline.trainers import SIMS, TrainDenoiser


def test_a_pair_samples_at_twice_the_evaluations(tmp_path):
    data, tune = digits(), TrainDenoiser(images=64, channels=(8, 16), start="sequential")
    recipe = Recipe(replace(tune, images=128, start="scratch"), Replace(), SIMS(tune, 1.0), Denoised(n=40, steps=3, guidance_scale=2.0))
    loop = Loop.at(tmp_path / "run", recipe, data)
    assert len(list(loop.run(2))) == 3
    assert spent(recipe, loop.chain, data) == Spent(images=256, rows=120, evaluations=40 * 6 * (1 + 2 + 2), real_rows=290)
    assert spent(recipe, loop.chain, data, first=1) == Spent(images=128, rows=80, evaluations=40 * 6 * 4, real_rows=0)


def test_fresh_rows_count_and_repeats_do_not(tmp_path):
    data = gaussian_splits(20, 4, reserve=20)
    recipe = gaussian_recipe(20, Fresh(0.3))
    loop = Loop.at(tmp_path / "run", recipe, data)
    list(loop.run(2))
    assert spent(recipe, loop.chain, data) == Spent(images=None, rows=60, evaluations=60, real_rows=20 + 2 * 6)
    assert spent(recipe, loop.chain, data, first=1).real_rows == 12
