"""Parametrisations: the right output gives the right image, training levels have their law, weights mean what they say."""

import math

import numpy as np
import pytest
import torch
from exact import Gaussian
from scipy import stats

from germline.diffusion.denoiser import EDM, Denoising, Eps, Flow, mean_one, weighted_mean
from germline.diffusion.precision import autocast, resolve
from germline.diffusion.schedule import ddpm_levels

OBJECTIVES = [Flow(), EDM(), Eps()]


def draw(rows=6, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, rows, 1, 4, 4, generator=rng, dtype=torch.float64)
    sigma = torch.logspace(-2, 2, rows, dtype=torch.float64)
    return x0, eps, sigma, x0 + sigma[:, None, None, None] * eps


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_the_target_maps_to_the_image(objective):
    x0, eps, sigma, x_t = draw()
    torch.testing.assert_close(objective.x0_hat(objective.target(x0, eps, sigma), x_t, sigma), x0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_the_best_output_maps_to_the_exact_denoiser(objective):
    """Squared error is least at E[target | x_t]; the target is affine in (x0, eps), so put in E[x0 | x_t] and its eps_hat."""
    world = Gaussian()
    _, _, sigma, x_t = draw()
    x0_hat = world.denoise(x_t, sigma[:, None, None, None])
    eps_hat = (x_t - x0_hat) / sigma[:, None, None, None]
    network = lambda image, noise, condition: objective.target(x0_hat, eps_hat, sigma)
    got = Denoising(network, objective)(x_t, sigma, torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(got, x0_hat, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_network_sees_about_unit_size_at_every_level(objective):
    rng = torch.Generator().manual_seed(1)
    sigma = objective.training_sigma(torch.rand(4_000, generator=rng, dtype=torch.float64))
    x0 = 0.5 * torch.randn(4_000, 1, 4, 4, generator=rng, dtype=torch.float64)
    seen = objective.input(x0 + sigma[:, None, None, None] * torch.randn(x0.shape, generator=rng, dtype=torch.float64), sigma)
    assert 0.4 < seen.std() < 1.05
    assert objective.embed(sigma).abs().max() < 2.3


@pytest.mark.parametrize("objective, mean, deviation", [(Flow(), 0, 1), (EDM(), -1.2, 1.2)], ids=str)
def test_training_levels_are_log_normal(objective, mean, deviation):
    uniform = torch.from_numpy(np.random.default_rng(0).random(20_000))
    assert stats.kstest(objective.training_sigma(uniform).log().numpy(), stats.norm(mean, deviation).cdf).pvalue > 0.01


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_training_levels_are_finite_at_the_ends(objective):
    ends = objective.training_sigma(torch.tensor([0.0, 1.0]))
    assert torch.isfinite(ends).all()
    assert (ends > 0).all()


def test_eps_levels_are_ddpms():
    got = Eps().training_sigma((torch.arange(1_000, dtype=torch.float64) + 0.5) / 1_000)
    torch.testing.assert_close(got, ddpm_levels())


def test_edm_loss_is_the_papers_weighted_loss():
    """lambda(sigma) |D - x0|^2 with lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2, whatever the network says."""
    x0, eps, sigma, x_t = draw()
    denoising = Denoising(lambda image, noise, condition: torch.tanh(image + noise[:, None, None, None]), EDM())
    condition = torch.zeros(6, dtype=torch.int64)
    weight = (sigma**2 + 0.25) / (sigma * 0.5) ** 2
    want = weight * (denoising(x_t, sigma, condition) - x0).square().flatten(1).mean(1)
    torch.testing.assert_close(denoising.loss(x0, eps, sigma, condition), want, rtol=1e-9, atol=1e-9)


def test_log_2_is_a_row_twice():
    network = torch.nn.Linear(16, 16, dtype=torch.float64)
    image = lambda flat: flat.reshape(-1, 1, 4, 4)
    denoising = Denoising(lambda x, noise, condition: image(network(x.flatten(1))), Flow())
    x0, eps, sigma, _ = draw(3)

    def gradient(rows, log_weight):
        network.zero_grad()
        losses = denoising.loss(x0[rows], eps[rows], sigma[rows], torch.zeros(len(rows), dtype=torch.int64))
        weighted_mean(losses, mean_one(torch.tensor(log_weight, dtype=torch.float64))).backward()
        return network.weight.grad.clone()

    twice = gradient([0, 1, 1, 2], [5.0, 5.0, 5.0, 5.0])
    torch.testing.assert_close(gradient([0, 1, 2], [0.0, math.log(2), 0.0]), twice)


def test_equal_log_weights_are_the_plain_mean_to_the_bit():
    loss = torch.rand(64, generator=torch.Generator().manual_seed(0))
    weight = mean_one(torch.full((64,), -731.3, dtype=torch.float64)).float()
    assert (weight == 1).all()
    assert weighted_mean(loss, weight) == loss.mean()


def test_minus_infinity_leaves_a_row_out_even_if_its_loss_is_nan():
    weight = mean_one(torch.tensor([0.0, -math.inf, 0.0]))
    assert weight.tolist() == [1, 0, 1]
    loss = torch.tensor([1.0, math.nan, 3.0], requires_grad=True)
    weighted_mean(loss, weight).backward()
    assert torch.isfinite(loss.grad).all()


@pytest.mark.parametrize("bad", [[math.nan, 0.0], [math.inf, 0.0], [-math.inf, -math.inf]])
def test_bad_log_weights_are_refused(bad):
    with pytest.raises(ValueError, match="finite or -inf"):
        mean_one(torch.tensor(bad))


def test_precision_is_resolved_once():
    assert resolve("fp32") == "fp32"
    assert resolve("auto") in ("bf16", "fp32")
    with pytest.raises(ValueError, match="is 'fp16'"):
        resolve("fp16")
    with pytest.raises(ValueError, match=r"call resolve\(\) first"):
        autocast("auto", torch.device("cpu"))


def test_only_the_network_computes_in_bf16():
    seen = []

    def network(image, noise, condition):
        seen.append((image @ image).dtype)
        return image @ image

    image = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    sigma, condition = torch.ones(1), torch.zeros(1, dtype=torch.int64)
    assert Denoising(network, Flow(), "bf16")(image, sigma, condition).dtype == torch.float32
    assert Denoising(network, Flow(), "fp32")(image, sigma, condition).dtype == torch.float32
    assert seen == [torch.bfloat16, torch.float32]
