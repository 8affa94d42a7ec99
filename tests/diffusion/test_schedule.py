"""Schedules against diffusers and against their definition."""

import diffusers
import pytest
import torch

from germline.diffusion.schedule import alpha_bar_of, ddpm, ddpm_levels, karras, sigma_of

LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}


def test_karras_is_evenly_spaced_in_its_power_and_ends_in_0():
    sigmas = karras(10, 40.0, 0.02, 7.0)
    root = sigmas[:-1] ** (1 / 7)
    torch.testing.assert_close(root.diff(), root.diff()[:1].expand(9))
    assert sigmas[0] == pytest.approx(40)
    assert sigmas[-2] == pytest.approx(0.02)
    assert sigmas[-1] == 0


@pytest.mark.parametrize("steps", [1, 2, 10, 50])
def test_karras_equals_that_of_diffusers(steps):
    theirs = diffusers.EDMEulerScheduler(sigma_min=0.02, sigma_max=40.0, rho=7.0)
    theirs.set_timesteps(steps)
    torch.testing.assert_close(karras(steps).float(), theirs.sigmas, rtol=1e-6, atol=0)


def test_ddpm_levels_are_those_of_the_linear_betas():
    theirs = diffusers.DDPMScheduler(1000, **LINEAR)
    torch.testing.assert_close(alpha_bar_of(ddpm_levels()).float(), theirs.alphas_cumprod, rtol=1e-4, atol=1e-9)
    assert ddpm_levels()[0] == pytest.approx(0.01, rel=1e-3)
    assert ddpm_levels()[-1] == pytest.approx(157.4, rel=1e-3)


@pytest.mark.parametrize("steps", [1, 4, 10, 50, 1000])
def test_ddpm_subset_is_the_trailing_one_of_diffusers(steps):
    theirs = diffusers.DDIMScheduler(1000, **LINEAR, timestep_spacing="trailing")
    theirs.set_timesteps(steps)
    torch.testing.assert_close(ddpm(steps)[:-1], ddpm_levels()[theirs.timesteps])
    assert ddpm(steps)[-1] == 0
    assert bool((ddpm(steps).diff() < 0).all())


def test_sigma_and_alpha_bar_are_inverse():
    sigma = torch.tensor([0.01, 1.0, 157.0], dtype=torch.float64)
    torch.testing.assert_close(sigma_of(alpha_bar_of(sigma)), sigma)


@pytest.mark.parametrize(
    "call, message",
    [(lambda: karras(0), "at least one step"), (lambda: karras(5, 1.0, 2.0), "sigma_min=2.0"), (lambda: ddpm(1001), "at most 1000")],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
