"""Solvers: order of convergence on an exact denoiser, the law of the stochastic one, and diffusers as reference."""

import itertools
import math

import diffusers
import numpy as np
import pytest
import torch
from exact import Gaussian

from germline.diffusion import solver
from germline.diffusion.schedule import ddpm, karras

WORLD = Gaussian()
START = torch.linspace(-40, 40, 5, dtype=torch.float64).reshape(5, 1, 1, 1)
LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}


def never(step):
    raise AssertionError("an ODE solver asked for noise")


def error(name, steps):
    """Largest error at sigma 0.02 against the exact solution; the step to 0 is left off, it has an error of its own."""
    sigmas = karras(steps + 1, 40.0, 0.02)[:-1]
    got = solver.solve(name, WORLD.denoise, START, sigmas, never)
    return (got - WORLD.flow(START, 40.0, 0.02)).abs().max().item()


@pytest.mark.parametrize("name, order", [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp_2m", 2)])
def test_error_falls_with_the_order(name, order):
    errors = [error(name, steps) for steps in (80, 160, 320, 640)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert orders[-1] == pytest.approx(order, abs=0.12), orders


@pytest.mark.parametrize("name", solver.ODE)
def test_a_point_mass_is_reached_exactly(name):
    got = solver.solve(name, lambda x_t, sigma: torch.full_like(x_t, 0.3), START, karras(7), never)
    torch.testing.assert_close(got, torch.full_like(START, 0.3))


def test_ddim_is_euler():
    torch.testing.assert_close(
        solver.ddim(WORLD.denoise, START, karras(12)), solver.euler(WORLD.denoise, START, karras(12)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", solver.NAMES)
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_evaluations_are_counted_right(name, steps):
    calls = []
    count = lambda x_t, sigma: calls.append(sigma) or WORLD.denoise(x_t, sigma)
    solver.solve(name, count, START, karras(steps) if steps > 1 else [40.0, 0.0], lambda step: torch.zeros_like(START))
    assert len(calls) == solver.evaluations(name, steps)


def law(sigmas):
    """Exact mean and variance of ``ancestral`` from x_t = x0 + sigma eps: it is affine in its start and noises, so probe each alone."""
    steps = len(sigmas) - 1
    inputs = torch.eye(steps + 2, dtype=torch.float64)[:, :, None, None, None]  # row k: input k is 1; the last row: all are 0
    got = solver.ancestral(WORLD.denoise, inputs[:, 0], sigmas, lambda step: inputs[:, step + 1]).flatten()
    weights = got[:-1] - got[-1]
    start_variance = WORLD.deviation**2 + float(sigmas[0]) ** 2
    variance = weights[0] ** 2 * start_variance + weights[1:].square().sum()
    return (got[-1] + weights[0] * WORLD.mean).item(), variance.item()


def test_ancestral_draws_from_the_data_law_in_the_limit():
    mean, variance = zip(*(law(ddpm(steps)) for steps in (125, 250, 500, 1000)), strict=True)
    assert mean[-1] == pytest.approx(WORLD.mean, abs=1e-9)
    assert variance[-1] == pytest.approx(WORLD.deviation**2, rel=0.02)
    gaps = WORLD.deviation**2 - np.array(variance)
    assert (gaps > 0).all(), "x0_hat is a mean: finite steps lose variance, never add it"
    assert gaps[:-1] / gaps[1:] == pytest.approx([2, 2, 2], rel=0.15)


def test_ancestral_draws_have_that_law():
    rng, rows, sigmas = torch.Generator().manual_seed(0), 40_000, ddpm(50)
    start = WORLD.mean + (WORLD.deviation**2 + float(sigmas[0]) ** 2) ** 0.5 * torch.randn(
        rows, 1, 1, 1, generator=rng, dtype=torch.float64
    )
    noise = lambda step: torch.randn(rows, 1, 1, 1, generator=rng, dtype=torch.float64)
    got = solver.ancestral(WORLD.denoise, start, sigmas, noise)
    mean, variance = law(sigmas)
    assert got.mean().item() == pytest.approx(mean, abs=4 * (variance / rows) ** 0.5)
    assert got.var().item() == pytest.approx(variance, rel=4 * (2 / rows) ** 0.5)


def test_clipped_denoiser_stays_in_range():
    wild = Gaussian(mean=5.0, deviation=0.1)
    assert solver.euler(solver.clipped(wild.denoise), START, karras(5)).abs().max() <= 1


def test_sigmas_must_fall():
    with pytest.raises(ValueError, match=r"step 0 goes from 1\.0 to 2\.0"):
        solver.euler(WORLD.denoise, START, [1.0, 2.0, 0.0])


def test_unknown_solver_is_named():
    with pytest.raises(ValueError, match=r"'rk4'; there are euler, ddim, heun, dpmpp_2m, ancestral"):
        solver.solve("rk4", WORLD.denoise, START, [1.0, 0.0], never)


# diffusers. Where it works on x_t / sqrt(1 + sigma^2) (DDIM, DDPM, DPM-Solver), its sample is scaled at the door; all of them take eps_hat.


def eps_of(x_t, sigma):
    return (x_t - WORLD.denoise(x_t, sigma)) / sigma


def unscaled(theirs, start):
    """Run a diffusers scheduler that keeps x_t = x0 + sigma eps."""
    x_t = start
    for t in theirs.timesteps:
        sigma = float(theirs.sigmas[theirs.step_index if theirs.step_index is not None else 0])
        x_t = theirs.step(eps_of(x_t, sigma), t, x_t).prev_sample
    return x_t


@pytest.mark.parametrize("name, theirs", [("euler", diffusers.EulerDiscreteScheduler), ("heun", diffusers.HeunDiscreteScheduler)])
def test_equals_diffusers_with_karras_levels(name, theirs):
    theirs = theirs(1000, **LINEAR, use_karras_sigmas=True)
    theirs.set_timesteps(12)
    sigmas = torch.unique_consecutive(theirs.sigmas.double())
    want = unscaled(theirs, START)
    torch.testing.assert_close(solver.solve(name, WORLD.denoise, START, sigmas, never), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [10, 50])
def test_ddim_equals_diffusers(steps):
    theirs = diffusers.DDIMScheduler(1000, **LINEAR, timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True)
    theirs.set_timesteps(steps)
    sigmas = ddpm(steps)
    scaled = START / (1 + sigmas[0] ** 2) ** 0.5
    for t, sigma in zip(theirs.timesteps, sigmas[:-1], strict=True):
        eps = eps_of(scaled * (1 + sigma**2) ** 0.5, sigma)
        scaled = theirs.step(eps, t, scaled, eta=0.0).prev_sample
    torch.testing.assert_close(solver.ddim(WORLD.denoise, START, sigmas), scaled, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("clip", [False, True])
def test_ancestral_equals_diffusers(clip):
    """With clipping too, and with their noise, which they draw from the generator in step order."""
    steps = 20
    theirs = diffusers.DDPMScheduler(1000, **LINEAR, timestep_spacing="trailing", clip_sample=clip, variance_type="fixed_small")
    theirs.set_timesteps(steps)
    sigmas = ddpm(steps)
    draw = torch.Generator().manual_seed(1)
    noises = [torch.randn(START.shape, generator=draw, dtype=START.dtype) for _ in range(steps)]
    draw.manual_seed(1)
    scaled = START / (1 + sigmas[0] ** 2) ** 0.5
    for t, sigma in zip(theirs.timesteps, sigmas[:-1], strict=True):
        eps = eps_of(scaled * (1 + sigma**2) ** 0.5, sigma)
        scaled = theirs.step(eps, t, scaled, generator=draw).prev_sample
    denoise = solver.clipped(WORLD.denoise) if clip else WORLD.denoise
    got = solver.ancestral(denoise, START, sigmas, lambda step: noises[step])
    torch.testing.assert_close(got, scaled, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [5, 12, 20])
def test_dpmpp_2m_equals_diffusers(steps):
    """diffusers takes the last step at order 1 as we do only if told that the last sigma is zero."""
    theirs = diffusers.DPMSolverMultistepScheduler(
        1000,
        **LINEAR,
        use_karras_sigmas=True,
        algorithm_type="dpmsolver++",
        solver_order=2,
        final_sigmas_type="zero",
        lower_order_final=True,
    )
    theirs.set_timesteps(steps)
    sigmas = theirs.sigmas.double()
    scaled = START / (1 + sigmas[0] ** 2) ** 0.5
    for t, sigma in zip(theirs.timesteps, sigmas[:-1], strict=True):
        scaled = theirs.step(eps_of(scaled * (1 + sigma**2) ** 0.5, sigma), t, scaled).prev_sample
    torch.testing.assert_close(solver.dpmpp_2m(WORLD.denoise, START, sigmas), scaled, rtol=1e-4, atol=1e-4)
