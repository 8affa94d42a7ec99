"""The noise of training, against the library's schedulers and against itself."""

import numpy as np
import pytest
import torch

from germline.pipelines.preview import ddim, guided
from germline.pipelines.process import Process

diffusers = pytest.importorskip("diffusers", reason="extra: t2i")

DDPM = diffusers.DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False)
ALPHA_BAR = DDPM.alphas_cumprod.double().numpy()
KINDS = {"epsilon": Process("epsilon", ALPHA_BAR), "v": Process("v_prediction", ALPHA_BAR), "flow": Process("flow", None, 1000, 3.0)}
GENERATOR = torch.Generator().manual_seed(0)
X0, EPS = (torch.randn(4, 2, 3, 3, generator=GENERATOR) for _ in range(2))
T = torch.tensor([1.0, 200.0, 700.0, 998.0])


@pytest.mark.parametrize("name", KINDS)
def test_an_exact_output_speaks_of_the_image(name):
    process = KINDS[name]
    x_t = process.noised(X0, EPS, T)
    torch.testing.assert_close(process.x0_hat(process.wanted(X0, EPS, T), x_t, T), X0, rtol=1e-3, atol=1e-3)


def test_noise_and_velocity_are_the_librarys():
    torch.testing.assert_close(KINDS["v"].noised(X0, EPS, T), DDPM.add_noise(X0, EPS, T.long()), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(KINDS["v"].wanted(X0, EPS, T), DDPM.get_velocity(X0, EPS, T.long()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_sigma_and_time_are_inverse_and_snr_is_their_square(name):
    process = KINDS[name]
    for t in (1, 200, 700, 998):
        assert process.timestep(process.sigma(t)) == pytest.approx(t, abs=1e-6)
        assert process.snr(torch.tensor([float(t)])).item() == pytest.approx(process.sigma(t) ** -2, rel=1e-3)
    euler = diffusers.EulerDiscreteScheduler.from_config(DDPM.config)
    euler.set_timesteps(7)
    if name != "flow":
        for t, sigma in zip(euler.timesteps, euler.sigmas, strict=False):
            assert process.sigma(float(t)) == pytest.approx(float(sigma), rel=1e-5)


def test_training_times_have_their_law():
    u = (np.arange(100_000) + 0.5) / 100_000
    steps = KINDS["epsilon"].training_time(u).long()
    assert (torch.bincount(steps, minlength=1000) == 100).all(), "all steps equally often"
    shifted = KINDS["flow"].training_time(u) / 1000
    logit = torch.logit(shifted.double())
    assert logit.mean().item() == pytest.approx(np.log(3.0), abs=1e-3), "a shift of 3 adds log 3 to the logit"
    assert logit.std().item() == pytest.approx(1.0, abs=1e-2)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    plain = Process("flow", None).training_time(u) / 1000
    torch.testing.assert_close(shifted, 3 * plain / (1 + 2 * plain), rtol=1e-5, atol=1e-6)
    middle = float(scheduler.sigmas[500])
    assert float(shifted[50_000]) == pytest.approx(middle, abs=2e-3), "the library's shift"


@pytest.mark.parametrize("name", KINDS)
def test_previews_follow_an_exact_network_to_its_image(name):
    """A network that knows the one image: eps_hat is what is left of x_t, whatever the start."""
    process, calls = KINDS[name], []

    def exact(x_t, t):
        calls.append(float(t[0]))
        a, b = (scale[:, None, None, None] for scale in process.scales(t))
        return process.wanted(X0, (x_t - a * X0) / b, t)

    torch.testing.assert_close(ddim(process, exact, EPS, 6), X0, rtol=1e-3, atol=2e-3)
    assert calls == sorted(calls, reverse=True)
    assert len(calls) == 6
    assert calls[0] == (1000 if name == "flow" else 999), "it starts at noise alone"


def test_previews_are_guided_from_the_empty_prompt():
    plain, null = (lambda x_t, t: x_t * 2), (lambda x_t, t: x_t)
    torch.testing.assert_close(guided(plain, null, 3.0)(X0, T), 4 * X0)
    torch.testing.assert_close(guided(plain, null, 1.0)(X0, T), 2 * X0)
