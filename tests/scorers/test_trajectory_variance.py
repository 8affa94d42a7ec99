"""The variance of x0_hat along a row's trajectory: in closed form, and on a model that interpolates between two modes."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.generation import MODEL
from germline.core.pool import Pool
from germline.core.splits import split
from germline.samplers import Denoised, DrawGaussian
from germline.scorers import TrajectoryVariance

S = 0.4


@dataclass(frozen=True)
class Normal:
    """Every pixel is N(0, S^2): D(x; sigma) = S^2 / (S^2 + sigma^2) x."""

    null: int = 2

    def denoiser(self, precision):
        return lambda x_t, sigma, condition: x_t * (S**2 / (S**2 + sigma**2))[:, None, None, None]


@dataclass(frozen=True)
class Certain:
    """Always the same picture, so that nothing varies."""

    null: int = 2

    def denoiser(self, precision):
        return lambda x_t, sigma, condition: torch.full_like(x_t, 0.25)


@dataclass(frozen=True)
class Smoothed:
    """A row is all -0.8 or all 0.8; the step between the two is learned too smooth, as a network does (arXiv 2406.09358).

    The exact denoiser of the mean x of d pixels is 0.8 tanh(0.8 d x / sigma^2): ever steeper as noise falls. This one stops at 1.5.
    """

    null: int = 2
    steepest: float = 1.5

    def denoiser(self, precision):
        def denoise(x_t, sigma, condition):
            slope = (0.64 * x_t[0].numel() / sigma**2).clamp(max=self.steepest)[:, None, None, None]
            return (slope * x_t.mean(dim=(1, 2, 3), keepdim=True)).clamp(-0.8, 0.8).expand_as(x_t)

        return denoise


@dataclass
class Finished:
    """A finished generation, as far as the scorer looks at it."""

    model: object
    samples: Pool = None
    digest: str = "m"

    def file_digest(self, name):
        assert name == MODEL
        return self.digest


@pytest.fixture
def data():
    images = np.zeros((80, 4, 4, 1), np.uint8)
    return split("blank", images, np.arange(80) % 2, ("a", "b"), {"real": 20, "reserve": 20, "judge": 20, "held_out": 20})


def made(data, model, sampler, tmp_path=None, n=40):
    """A context of generation 1 whose generation 0 was made by this model and sampler."""
    ctx = Context(1, 5, data, cache=Cache(tmp_path))
    samples = sampler(model, np.arange(n), replace(ctx, generation=0))
    return replace(ctx, generations=(Finished(model, samples),)), samples


def test_the_variance_in_closed_form(data):
    """By Euler steps x shrinks by 1 + (next - sigma) sigma / (S^2 + sigma^2), and x0_hat is S^2 / (S^2 + sigma^2) of it."""
    sampler = Denoised(n=40, steps=12, solver="euler", guidance_scale=1.0, sigma_max=20)
    ctx, samples = made(data, Normal(), sampler)
    noise = replace(ctx, generation=0).normal("sample/noise", np.arange(40), (4, 4, 1), 0).astype(float)
    x, predictions = 20 * noise, []
    for sigma, following in pairwise(sampler.sigmas().double().tolist()):
        prediction = S**2 / (S**2 + sigma**2) * x
        if sigma <= 1.5:
            predictions.append(prediction)
        x = x + (following - sigma) * (x - prediction) / sigma
    expected = -np.var(predictions, axis=0).mean(axis=(1, 2, 3))
    assert len(predictions) > 4
    np.testing.assert_allclose(TrajectoryVariance(sampler, sigma_max=1.5)(samples, ctx), expected, rtol=1e-4)
    subset = TrajectoryVariance(sampler, sigma_max=1.5)(samples.take([31, 4]), ctx)
    np.testing.assert_allclose(subset, expected[[31, 4]], rtol=1e-4)


def test_a_prediction_that_never_changes_has_none_and_real_rows_have_no_trajectory(data):
    sampler = Denoised(n=40, guidance_scale=1.0)
    ctx, samples = made(data, Certain(), sampler)
    np.testing.assert_array_equal(TrajectoryVariance(sampler)(samples, ctx), np.zeros(40))
    ctx, samples = made(data, Normal(), sampler)
    both = Pool.concat([samples.take([0, 1]), data.real.take([3]), samples.take([2])])
    found = TrajectoryVariance(sampler)(both, ctx)
    assert found[2] == 0 > max(found[[0, 1, 3]])


def test_rows_between_two_modes_are_found(data):
    """The paper's finding, on a smoothed step: what ends between the modes was made with more doubt."""
    sampler = Denoised(n=1_000, steps=30, solver="euler", guidance_scale=1.0)
    ctx, samples = made(data, Smoothed(), sampler, n=1_000)
    level = samples.images[:].mean(axis=(1, 2, 3)) / 127.5 - 1
    between = np.abs(level) < 0.7
    assert 0.005 < between.mean() < 0.3
    # The area under the ROC curve: how often a row between the modes scores lower than one in a mode. Not 1: a row that stays in the
    # very middle until the end was made without doubt too. Over the whole trajectory the score says the opposite.
    score = {top: TrajectoryVariance(sampler, sigma_max=top)(samples, ctx) for top in (1.0, 3.0, 40.0)}
    area = {top: (found[between][:, None] < found[~between][None]).mean() for top, found in score.items()}
    assert area[1.0] > 0.85
    assert area[3.0] > 0.75
    assert area[40.0] < 0.1
    middle = between & (np.abs(level) < 0.02)
    assert score[1.0][middle].mean() > score[1.0][between & ~middle].mean()


def test_what_was_run_again_is_kept(data, tmp_path):
    sampler = Denoised(n=40, guidance_scale=1.0)
    ctx, samples = made(data, Normal(), sampler, tmp_path)
    first = TrajectoryVariance(sampler)(samples.take(np.arange(30)), ctx)

    class Never(Normal):
        def denoiser(self, precision):
            raise AssertionError("nothing is to be computed")

    again = replace(ctx, generations=(Finished(Never(), samples),), cache=Cache(tmp_path))
    np.testing.assert_array_equal(TrajectoryVariance(sampler)(samples.take([7, 2]), again), first[[7, 2]])
    with pytest.raises(AssertionError, match="nothing is to be computed"):
        TrajectoryVariance(sampler)(samples, again)
    other = replace(again, generations=(Finished(Never(), samples, digest="another model"),))
    with pytest.raises(AssertionError, match="nothing is to be computed"):
        TrajectoryVariance(sampler)(samples.take([7]), other)


def test_faults_are_named(data):
    sampler = Denoised(n=40, guidance_scale=1.0)
    ctx, samples = made(data, Normal(), sampler)
    with pytest.raises(BadInput, match="made again, row .* of generation 0 is another image; give the very sampler"):
        TrajectoryVariance(replace(sampler, steps=11, sigma_max=10))(samples, ctx)
    with pytest.raises(BadInput, match="1 predictions lie at noise levels up to 0.03, and it needs 2"):
        TrajectoryVariance(sampler, sigma_max=0.03)(samples, ctx)
    with pytest.raises(BadInput, match="a DrawGaussian does not show its predictions; Denoised and SamplePipeline do"):
        TrajectoryVariance(DrawGaussian(7))(samples, ctx)
    unknown = replace(samples, origin=np.stack([np.full(40, -2), np.arange(40)], axis=1), sources={-2: samples.sources[0]})
    with pytest.raises(BadInput, match="row 0 was not made by this chain"):
        TrajectoryVariance(sampler)(unknown, ctx)
