"""What stands in a sample's place, and the control that makes nothing."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from conftest import gaussian_recipe, gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.data import toy_digits
from germline.loop import Loop
from germline.mixers import Replace, Swapped
from germline.samplers import Denoised, DrawGaussian, Reloaded
from germline.trainers import FitGaussian, Kept


@pytest.fixture
def ctx(tmp_path):
    """Generation 1 of a run with 400 samples on 200 real rows, whose classes alternate: row i has the class of real row i mod 200."""
    data = gaussian_splits(200, 4)
    real = data.real.take(np.argsort(data.real.condition + 0.5 * (np.arange(200) % 2), kind="stable"))
    ordered = np.empty(200, np.int64)
    ordered[0::2], ordered[1::2] = np.flatnonzero(real.condition == 0), np.flatnonzero(real.condition == 1)
    data = replace(data, real=real.take(ordered))
    loop = Loop.at(tmp_path / "run", gaussian_recipe(400), data)
    list(loop.run(0))
    return loop.chain.context(1, data)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_every_row_is_a_sample_or_the_real_row_in_its_place(ctx, share):
    made, real, offer = ctx.samples(0), ctx.data.real, Swapped(share)(ctx)
    swapped = offer.real
    assert len(offer) == 400
    assert swapped.mean() == pytest.approx(share, abs=0.08)
    assert (offer.origin[~swapped] == made.origin[~swapped]).all()
    places = np.arange(400) % 200
    assert (offer.origin[swapped] == real.origin[places][swapped]).all()
    assert (offer.condition == real.condition[places]).all(), "conditions keep their order"
    if share == 0:
        assert (offer.origin == Replace()(ctx).origin).all()


def test_swaps_are_of_this_generation_and_seed(ctx):
    one = Swapped(0.5)(ctx).real
    assert (one == Swapped(0.5)(ctx).real).all()
    assert (one != Swapped(0.5)(replace(ctx, seed=1)).real).any()


def test_several_images_a_prompt_share_one_real_row(ctx):
    data = replace(ctx.data, real=ctx.data.real.take([0] * 100 + [1] * 100))
    made = replace(ctx, data=data)
    with pytest.raises(BadInput, match=r"Swapped would put real row 0 \(0\) in the place of a sample of 1"):
        Swapped(1.0, 2)(made)
    sampler = Denoised(12, images_a_prompt=3)
    real = toy_digits().real
    asked = sampler._condition(np.arange(12), Context(0, 0, toy_digits()))
    assert asked.tolist() == np.repeat(real.condition[:4], 3).tolist()


def test_samples_have_the_classes_of_the_real_rows_in_their_order():
    data = toy_digits()
    ctx, rows = Context(0, 0, data), np.array([299, 0, 7, 300])
    assert Denoised(300, images_a_prompt=1)._condition(rows, ctx).tolist() == data.real.condition[[299, 0, 7, 0]].tolist()
    assert Denoised(300)._condition(rows, ctx).tolist() == [9, 0, 7, 0]
    with pytest.raises(BadInput, match="images_a_prompt must be at least 0, but is -1"):
        Denoised(images_a_prompt=-1)


@dataclass(frozen=True)
class Refuses(FitGaussian):
    """A trainer that trains generation 0 only."""

    def __call__(self, data, previous, ctx):
        assert ctx.generation == 0
        return super().__call__(data, previous, ctx)


def test_save_and_reload_changes_nothing_and_makes_nothing(tmp_path):
    data, fit = gaussian_splits(20, 4), Refuses()
    recipe = replace(gaussian_recipe(30), founder=fit, trainer=Kept(fit), sampler=Reloaded(DrawGaussian(30)))
    plain = Loop.at(tmp_path / "plain", gaussian_recipe(30), data)
    (first,) = plain.run(0)
    for generation in Loop.at(tmp_path / "reload", recipe, data).run(3):
        assert (generation.samples.images[:] == first.samples.images[:]).all()
        assert (generation.samples.condition == first.samples.condition).all()


def test_shares_out_of_range_are_refused():
    with pytest.raises(BadInput, match="share from 0 to 1 and 1 image a prompt or more, but got 1.2 and 1"):
        Swapped(1.2)
    with pytest.raises(BadInput, match="but got 0.5 and 0"):
        Swapped(0.5, 0)
