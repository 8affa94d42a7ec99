"""SIMS: what is kept, what is trained, and that w = 0 changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.recipe import Recipe
from germline.data import digits
from germline.diffusion.model import Pair
from germline.loop import Loop
from germline.mixers import Replace
from germline.samplers import Denoised
from germline.trainers import SIMS, TrainDenoiser, training

TUNE = TrainDenoiser(images=96, batch=32, channels=(8, 16), start="sequential")
FOUNDER = replace(TUNE, start="scratch")
DATA = digits()


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture
def first(tmp_path):
    return FOUNDER(DATA.real, None, Context(0, 0, DATA, scratch=tmp_path / "0"))


@pytest.fixture
def ctx(tmp_path):
    return Context(1, 0, DATA, scratch=tmp_path / "1")


def test_the_good_model_stays_and_its_copy_is_trained(first, ctx):
    sims = SIMS(TUNE, 0.5)
    pair = sims(DATA.reserve, first, ctx)
    assert equal(TUNE.arrays(pair.good), TUNE.arrays(first))
    assert equal(TUNE.arrays(pair.bad), TUNE.arrays(TUNE(DATA.reserve, first, ctx)))
    again = sims(DATA.reserve, pair, ctx)
    assert equal(sims.arrays(again), sims.arrays(pair)), "a pair goes on from its good model"


def test_a_pair_survives_its_arrays(first, ctx):
    sims = SIMS(TUNE, 0.5)
    pair = sims(DATA.reserve, first, ctx)
    arrays = sims.arrays(pair)
    assert {name.split(".")[0] for name in arrays} == {"good", "bad"}
    restored = sims.restore(arrays)
    assert equal(sims.arrays(restored), arrays)
    assert restored.scale == pair.scale == 1.5
    sampler = Denoised(n=20, steps=3)
    assert np.array_equal(sampler(restored, range(20), ctx).images[:], sampler(pair, range(20), ctx).images[:])


def test_w_of_zero_samples_the_good_model_to_the_bit(first, ctx):
    sampler = Denoised(n=20, steps=3)
    images = lambda model: sampler(model, range(20), ctx).images[:]
    assert np.array_equal(images(SIMS(TUNE, 0.0)(DATA.reserve, first, ctx)), images(first))
    assert not np.array_equal(images(SIMS(TUNE, 2.0)(DATA.reserve, first, ctx)), images(first))


def test_samples_are_those_of_the_papers_formula(first, ctx):
    """(1 + w) D_good - w D_bad, since grad_log_p is affine in D."""
    pair = SIMS(TUNE, 1.5)(DATA.reserve, first, ctx)
    x_t = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    sigma, condition = torch.linspace(0.1, 5, 5), torch.arange(5)
    with torch.inference_mode():
        good, bad = (model.denoiser()(x_t, sigma, condition) for model in (pair.good, pair.bad))
        torch.testing.assert_close(pair.denoiser()(x_t, sigma, condition), 2.5 * good - 1.5 * bad, atol=1e-5, rtol=1e-5)


def test_in_the_loop_the_founder_is_an_ordinary_model(tmp_path):
    recipe = Recipe(FOUNDER, Replace(), SIMS(TUNE, 1.0), Denoised(n=40, steps=2, guidance_scale=1.0))
    zero, one, two = Loop.at(tmp_path / "run", recipe, DATA).run(2)
    assert isinstance(two.model, Pair)
    assert equal(TUNE.arrays(two.model.good), TUNE.arrays(zero.model))
    assert not equal(TUNE.arrays(two.model.bad), TUNE.arrays(one.model.bad))
    assert [g.images_seen() for g in (zero, one, two)] == [96, 96, 96]


def test_with_a_base_both_are_trained_and_a_kill_leaves_no_trace(first, ctx, monkeypatch):
    samples = DATA.reserve.take(np.arange(100))
    monkeypatch.setattr(Context, "samples", lambda self, number: samples)
    sims = SIMS(replace(TUNE, images=64), 1.0, base=TUNE)
    assert sims.images == 160
    pair = sims(DATA.real, first, ctx)
    good = TUNE(DATA.real, first, replace(ctx, scratch=ctx.scratch / "alone"))
    assert equal(TUNE.arrays(pair.good), TUNE.arrays(good))
    assert equal(TUNE.arrays(pair.bad), TUNE.arrays(replace(TUNE, images=64)(samples, good, replace(ctx, scratch=ctx.scratch / "b"))))

    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    steps = []
    step = training.Training.step

    def killing(self, *args):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt  # in the second step of the copy: the good model's three are done
        step(self, *args)

    monkeypatch.setattr(training.Training, "step", killing)
    other = replace(ctx, scratch=ctx.scratch / "killed")
    with pytest.raises(KeyboardInterrupt):
        sims(DATA.real, first, other)
    assert equal(sims.arrays(sims(DATA.real, first, other)), sims.arrays(pair))
    assert len(steps) == 6, "neither training began again"


def test_errors_say_what_to_do(ctx):
    with pytest.raises(BadInput, match="starts from 'scratch'; use 'sequential'"):
        SIMS(FOUNDER)
    with pytest.raises(BadInput, match="generation 0 has none before it; use the inner trainer as founder"):
        SIMS(TUNE)(DATA.real, None, ctx)
