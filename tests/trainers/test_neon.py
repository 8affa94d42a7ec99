"""Neon: the arithmetic to the bit, and the law of its Gaussian chain."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import gaussian_recipe, gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.data import digits
from germline.loop import Loop
from germline.theory import chains
from germline.trainers import FitGaussian, Neon, TrainDenoiser
from germline.trainers.neon import extrapolated

SMALL = TrainDenoiser(images=32, batch=32, channels=(8, 16), start="sequential", optimiser="adamw")


@pytest.mark.parametrize("w", [-1.0, 0.0, 0.5, 2.0])
def test_moments_are_extrapolated(tiny, w):
    ctx, fit = Context(1, 0, tiny), FitGaussian()
    previous, trained = fit(tiny.real, None, ctx), fit(tiny.held_out, None, ctx)
    got = Neon(fit, w)(tiny.held_out, previous, ctx)
    for name in ("mean", "variance"):
        np.testing.assert_allclose(got[name], (1 + w) * previous[name] - w * trained[name], rtol=1e-12)
    if w == 0:
        assert all(np.array_equal(got[name], previous[name]) for name in previous), "w = 0 is the previous model to the bit"


@pytest.mark.parametrize("w", [-1.0, 0.0, 0.5, 1.0])
def test_the_gaussian_chain_follows_its_law(tmp_path, w):
    """E[variance of M_g] / true variance = (1 - 1/n) (1 + w/n)^g: w = -1 is replace, and w = 1 undoes the founder's loss in one step."""
    n, side, last = 100, 50, 4  # few rows and a large w make variances below 0
    data = gaussian_splits(n, side)
    recipe = replace(gaussian_recipe(n), trainer=Neon(FitGaussian(), w))
    shares = [g.model["variance"].ravel() / 25.0**2 for g in Loop.at(tmp_path / "run", recipe, data).run(last)]
    for g, share in enumerate(shares):
        want = (1 - 1 / n) * (1 + w / n) ** g
        assert share.mean() == pytest.approx(want, abs=4 * share.std() / side + 2e-4 * g)
    if w == -1:
        assert shares[-1].mean() == pytest.approx(chains.replace(n, last), abs=4 * shares[-1].std() / side)


def test_weights_are_extrapolated_raw_and_averaged(tmp_path):
    data = digits()
    first, second = Context(0, 0, data, scratch=tmp_path / "0"), Context(1, 0, data, scratch=tmp_path / "1")
    previous = SMALL(data.real, None, first)
    before = {name: array.copy() for name, array in SMALL.arrays(previous).items()}
    trained = SMALL.arrays(SMALL(data.real, previous, second))
    got = Neon(SMALL, 1.5).arrays(Neon(SMALL, 1.5)(data.real, previous, second))
    for name, array in before.items():
        np.testing.assert_allclose(got[name], 2.5 * array.astype(float) - 1.5 * trained[name], atol=1e-6)
        assert got[name].dtype == np.float32
    assert any((got[name] != before[name]).any() for name in before if name.startswith("ema.")), "the step was not empty"
    kept = SMALL.arrays(Neon(SMALL, 0.0)(data.real, previous, second))
    assert all(np.array_equal(kept[name], before[name]) for name in before)
    assert all(np.array_equal(SMALL.arrays(previous)[name], before[name]) for name in before), "the previous model was changed"
    assert Neon(SMALL).images == SMALL.images


def test_arrays_that_count_are_kept():
    got = extrapolated({"steps": np.array([3]), "x": np.float32([1, 2])}, {"steps": np.array([9]), "x": np.float32([2, 2])}, 1.0)
    assert got["steps"].tolist() == [3]
    assert got["x"].tolist() == [0, 2]


def test_errors_say_what_to_do(tiny):
    with pytest.raises(BadInput, match="starts from 'scratch'; use 'sequential'"):
        Neon(TrainDenoiser())
    with pytest.raises(BadInput, match="generation 0 has none before it; use the inner trainer as founder"):
        Neon(FitGaussian())(tiny.real, None, Context(0, 0, tiny))
    with pytest.raises(BadInput, match="but a, b differ"):
        extrapolated({"a": np.zeros(3), "b": np.zeros(1)}, {"a": np.zeros(2)}, 1.0)
