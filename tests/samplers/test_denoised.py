"""The sampler: every row is its own, and the images have the law of the exact denoiser."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from germline.core.context import Context, Execution
from germline.core.errors import BadInput, GermlineError
from germline.core.splits import split
from germline.diffusion.denoiser import Denoising, Flow
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.diffusion.model import ClassModel, of_images, to_images
from germline.diffusion.precision import resolve
from germline.diffusion.unet import UNet
from germline.samplers import Denoised

MEANS, DEVIATION = torch.tensor([-0.3, 0.4, 0.05]), 0.1  # two classes, and none


@dataclass(frozen=True)
class Exact:
    """A model that is right: class c is N(mean_c, deviation^2) in every pixel."""

    null: int = 2

    def denoiser(self, precision):
        return self

    def __call__(self, x_t, sigma, condition):
        mean, s2 = MEANS[condition][:, None, None, None], sigma[:, None, None, None] ** 2
        return (DEVIATION**2 * x_t + s2 * mean) / (DEVIATION**2 + s2)


@pytest.fixture
def ctx(tmp_path):
    images = np.zeros((80, 8, 8, 1), np.uint8)
    data = split("blank", images, np.arange(80) % 2, ("a", "b"), {"real": 20, "reserve": 20, "judge": 20, "held_out": 20})
    return Context(3, 0, data, scratch=tmp_path)


def stirred():
    network = UNet((8, 16), 1, 2, torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=rng))
    return ClassModel(network, network, Flow())


@pytest.mark.parametrize("scale, means", [(1.0, (-0.3, 0.4)), (2.0, (-0.65, 0.75))])
@pytest.mark.parametrize("solver, steps", [("dpmpp_2m", 20), ("euler", 200), ("ddim", 200), ("heun", 20), ("ancestral", 250)])
def test_images_have_the_law_of_the_exact_denoiser(ctx, solver, steps, scale, means):
    """With equal widths, guidance moves the mean to none + w (class - none) and keeps the deviation."""
    made = Denoised(steps=steps, solver=solver, guidance_scale=scale)(Exact(), range(40), ctx)
    assert (made.condition == np.arange(40) % 2).all()
    assert (made.origin[:, 0] == 3).all()
    for label, mean in enumerate(means):
        pixels = made.images[:][made.condition == label].astype(float) / 127.5 - 1
        assert pixels.mean() == pytest.approx(mean, abs=0.02)
        assert pixels.std() == pytest.approx(DEVIATION, rel=0.1)


@pytest.mark.parametrize("solver", ["dpmpp_2m", "ancestral"])
@pytest.mark.parametrize(
    "precision", ["fp32", pytest.param("bf16", marks=pytest.mark.skipif(resolve("auto") != "bf16", reason="no native bf16"))]
)
def test_a_row_is_the_same_in_every_block_and_company(ctx, solver, precision):
    model, sampler = stirred(), Denoised(steps=4, solver=solver)
    at = lambda block, rows: sampler(model, rows, replace(ctx, execution=Execution(precision, block=block))).images[:]
    whole = at(250, range(100))
    assert np.array_equal(at(32, range(100)), whole)
    assert np.array_equal(at(250, [99, 3, 41]), whole[[99, 3, 41]])
    assert np.array_equal(at(1, [7]), whole[[7]])
    assert len(np.unique(whole.reshape(100, -1), axis=0)) == 100


def test_noise_depends_on_generation_and_seed(ctx):
    sampler = Denoised(steps=4)
    made = [sampler(stirred(), range(4), c).images[:] for c in (ctx, replace(ctx, generation=4), replace(ctx, seed=1))]
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_averaged_weights_are_sampled(ctx):
    model = stirred()
    zero = UNet((8, 16), 1, 2, torch.Generator().manual_seed(0))
    swapped = ClassModel(zero, model.average, Flow())
    assert np.array_equal(Denoised()(swapped, range(4), ctx).images[:], Denoised()(model, range(4), ctx).images[:])


INTERVAL = GuidanceSchedule("interval", 3.0, low=0.3, high=3.0)


@pytest.mark.parametrize(
    "sampler, made",
    [
        (Denoised(steps=5), 10),
        (Denoised(steps=5, guidance_scale=1.0), 5),
        (Denoised(steps=5, solver="heun"), 18),
        (Denoised(steps=5, guidance_scale=GuidanceSchedule("linear", 3.0)), 9),  # 1 at the last level
        (Denoised(steps=5, guidance_scale=INTERVAL), 7),  # levels 40, 11.3, 2.4, 0.33, 0.02
        (Denoised(steps=5, guidance_scale=INTERVAL, solver="heun"), 9 + 4),
    ],
)
def test_evaluations_are_those_made(ctx, sampler, made):
    calls = []

    class Counting(Exact):
        def __call__(self, x_t, sigma, condition):
            calls.append(float(sigma[0]))
            return super().__call__(x_t, sigma, condition)

    sampler(Counting(), range(4), ctx)
    assert len(calls) == sampler.evaluations() == made


@pytest.mark.parametrize("kind", ["exp_floor", "interval"])
def test_a_schedule_moves_the_mean_as_its_effective_scale(ctx, kind):
    """Equal widths tau: the mean moves by s_eff(tau) = Int s W / Int W over sigma, W = tau sigma / (tau^2 + sigma^2)^(3/2)."""
    sampler = Denoised(steps=200, solver="euler", guidance_scale=GuidanceSchedule(kind, 2.0, 2.0, low=0.05, high=1.0))
    scale, sigma = sampler.scale(), np.geomspace(0.02, 40, 20_001)
    weight = DEVIATION * sigma**2 / (DEVIATION**2 + sigma**2) ** 1.5  # d sigma = sigma d ln sigma
    want = np.sum(weight * [scale(level) for level in sigma]) / weight.sum()
    pixels = sampler(Exact(), range(40), ctx).images[:][1::2].astype(float) / 127.5 - 1
    assert pixels.mean() == pytest.approx(0.05 + want * (0.4 - 0.05), abs=0.015)
    assert 0.2 < want - 1 < 0.9


def test_a_constant_schedule_is_the_constant(ctx):
    flat = Denoised(steps=4, guidance_scale=GuidanceSchedule("exp_floor", 2.0, rate=0.0))
    assert np.array_equal(flat(stirred(), range(4), ctx).images[:], Denoised(steps=4)(stirred(), range(4), ctx).images[:])


def test_images_survive_the_door():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    assert np.array_equal(to_images(of_images(images)), images)
    assert to_images(torch.tensor([-3.0, 3.0, 0.0]).reshape(1, 1, 1, 3)).flatten().tolist() == [0, 255, 128]


def test_clipping_bounds_every_estimate(ctx):
    class Wild(Exact):
        def __call__(self, x_t, sigma, condition):
            return torch.full_like(x_t, 30.0)

    made = Denoised(solver="ancestral", schedule="ddpm", steps=20, clip=True, guidance_scale=1.0)(Wild(), range(2), ctx)
    assert (made.images[:] == 255).all()


def test_errors_say_what_to_do(ctx):
    with pytest.raises(BadInput, match="Denoised: A schedule needs at least one step, but 0"):
        Denoised(steps=0)
    with pytest.raises(BadInput, match="there are euler"):
        Denoised(solver="rk4")
    with pytest.raises(BadInput, match="Denoised: The guidance schedule exp from 2.* falls to .* ask for it with below_one"):
        Denoised(guidance_scale=GuidanceSchedule("exp", 2.0))

    class Broken(Exact):
        def __call__(self, x_t, sigma, condition):
            return torch.full_like(x_t, float("nan"))

    with pytest.raises(GermlineError, match="NaN or infinity for row 5"):
        Denoised()(Broken(), [5, 6], ctx)


def test_bottleneck_features_are_float32_and_of_the_averaged_network():
    model = stirred()
    x_t = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    sigma, condition = torch.full((3,), 0.5), torch.full((3,), model.null)
    want = model.average.bottleneck(Flow().input(x_t, sigma), Flow().embed(sigma), condition)
    assert torch.equal(model.bottleneck(x_t, sigma, condition), want)
    assert isinstance(model.denoiser(), Denoising)
