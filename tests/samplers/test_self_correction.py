"""Self-correction: how the variance shrinks, where images go, and that a row does not depend on its company."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances_argmin

from conftest import gaussian_recipe, gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.splits import split
from germline.loop import Loop
from germline.samplers import DrawGaussian, SelfCorrected
from germline.samplers.self_correction import RealCentres, towards

MODEL = {"mean": np.full((4, 4, 1), 127.5), "variance": np.full((4, 4, 1), 625.0)}


@dataclass(frozen=True)
class Labelled:
    """Makes images of a class that the data do not have."""

    n: int = 4

    def __call__(self, model, rows, ctx):
        return Pool.of(np.zeros((len(rows), 4, 4, 1), np.uint8), np.full(len(rows), 7), ctx.generation)


def test_the_step_is_straight_and_exact():
    images, centres = np.uint8([[[[0]]], [[[100]]], [[[255]]]]), np.float32([[[[20]]], [[[205.5]]]])
    assert towards(images, centres, 1.0).ravel().tolist() == [20, 20, 206]
    assert towards(images, centres, 0.5).ravel().tolist() == [10, 60, 230]
    assert towards(images, centres, 0.0).ravel().tolist() == [0, 100, 255]


def test_one_centre_scales_the_variance_by_its_square(tmp_path):
    """With one centre a class, x is moved to (1 - gamma) x + gamma mean: the variance is (1 - gamma)^2 of what it was."""
    data = gaussian_splits(200, 8, sd=30.0)
    ctx = Context(1, 0, data)
    model = {"mean": np.full((8, 8, 1), 120.0), "variance": np.full((8, 8, 1), 900.0)}
    plain = DrawGaussian(400)(model, range(400), ctx).images[:].astype(float)
    for gamma in (0.25, 0.5, 0.9):
        moved = SelfCorrected(DrawGaussian(400), gamma, centres=1)(model, range(400), ctx)
        for label in (0, 1):
            here, real = moved.condition == label, data.real.images[np.flatnonzero(data.real.condition == label)].mean(axis=0)
            want = (1 - gamma) * plain[here] + gamma * real
            got = moved.images[np.flatnonzero(here)]
            assert np.abs(got - want).max() <= 0.5 + 1e-4
            assert got.var(axis=0).mean() == pytest.approx((1 - gamma) ** 2 * plain[here].var(axis=0).mean() + 1 / 12, rel=0.02)


def test_centres_are_the_k_means_of_each_class():
    rng = np.random.default_rng(0)
    true = np.array([[30, 200], [90, 160], [220, 40]])  # three clouds a class
    label, cloud = np.arange(360) % 2, np.arange(360) // 2 % 3
    images = np.clip(true[cloud, label][:, None] + rng.integers(-9, 10, (360, 16)), 0, 255).astype(np.uint8).reshape(-1, 4, 4, 1)
    data = split("clouds", images, label, ("a", "b"), {"real": 240, "reserve": 0, "judge": 60, "held_out": 60})
    ctx = Context(1, 0, data)
    fitted = RealCentres(3).of(ctx)
    for number in (0, 1):
        assert np.sort(fitted[str(number)].mean(axis=(1, 2, 3))).round().tolist() == pytest.approx(sorted(true[:, number]), abs=2)
    model = {"mean": np.full((4, 4, 1), 120.0), "variance": np.full((4, 4, 1), 3000.0)}
    made = SelfCorrected(DrawGaussian(40), 1.0, centres=3)(model, range(40), ctx)
    plain = DrawGaussian(40)(model, range(40), ctx).images[:].reshape(40, -1)
    for row in range(40):
        centres = fitted[str(row % 2)].reshape(3, -1)
        nearest = pairwise_distances_argmin(plain[[row]].astype(float), centres)[0]
        assert (made.images[[row]].ravel() == np.rint(centres[nearest])).all()


def test_a_class_with_few_images_has_fewer_centres(tiny):
    fitted = RealCentres(99).of(Context(1, 0, tiny))
    real = tiny.real.images[np.flatnonzero(tiny.real.condition == 0)]
    assert fitted["0"].shape == real.shape
    assert sorted(map(bytes, np.rint(fitted["0"]).astype(np.uint8))) == sorted(map(bytes, real))


def test_a_row_does_not_depend_on_its_company(tiny):
    ctx, sampler = Context(3, 0, tiny), SelfCorrected(DrawGaussian(50), 0.3)
    whole = sampler(MODEL, range(50), ctx).images[:]
    assert np.array_equal(sampler(MODEL, [41, 3], ctx).images[:], whole[[41, 3]])
    assert sampler.n == 50


def test_gamma_of_zero_is_the_inner_sampler(tiny):
    ctx = Context(3, 0, tiny)
    corrected, plain = (sampler(MODEL, range(9), ctx) for sampler in (SelfCorrected(DrawGaussian(9), 0.0), DrawGaussian(9)))
    assert np.array_equal(corrected.images[:], plain.images[:])


def test_in_the_loop_generation_0_is_corrected_too(tmp_path, tiny):
    recipe = replace(gaussian_recipe(20), sampler=SelfCorrected(DrawGaussian(20), 1.0, centres=2))
    zero, one = Loop.at(tmp_path / "run", recipe, tiny).run(1)
    assert len(np.unique(zero.samples.images[:].reshape(20, -1), axis=0)) <= 4, "at gamma = 1 only centres are left"
    assert (zero.samples.images[:].var(axis=0) >= one.model["variance"] - 1e-6).all()


def test_errors_say_what_to_do(tiny):
    with pytest.raises(BadInput, match="a gamma from 0 to 1 and 1 centre or more, but got 1.5 and 16"):
        SelfCorrected(DrawGaussian(5), 1.5)
    with pytest.raises(BadInput, match="no real image of class 7 in R"):
        SelfCorrected(Labelled())(None, range(4), Context(1, 0, tiny))
