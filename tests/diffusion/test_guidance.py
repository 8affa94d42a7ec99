"""Guidance against its law for Gaussians, and its cost."""

import pytest
import torch
from exact import Classes

from germline.diffusion import solver
from germline.diffusion.guidance import Guided
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.diffusion.schedule import karras

WORLD = Classes(means=(-0.4, 0.7, 0.1), deviations=(0.3, 0.3, 0.6))  # class 2 stands for none
START = torch.linspace(-30, 30, 6, dtype=torch.float64).reshape(6, 1, 1, 1)


class Counting:
    def __init__(self):
        self.calls = []

    def __call__(self, x_t, sigma, condition):
        self.calls.append(condition.tolist())
        return WORLD(x_t, sigma, condition)


def sample(denoiser, label, steps=2_000):
    condition = torch.full((len(START),), label)
    denoise = lambda x_t, sigma: denoiser(x_t, torch.full((len(START),), sigma, dtype=torch.float64), condition)
    return solver.heun(denoise, START, karras(steps, 40.0, 1e-3))


@pytest.mark.parametrize("w", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_guided_flow_has_the_closed_form(w):
    """With D affine, d(x)/d(sigma) = sum_k w_k sigma (x - m_k) / (v_k + sigma^2): the slope of x over the start is
    prod_k ((v_k + 0) / (v_k + sigma_max^2))^(w_k / 2), with w_k = w for the class and 1 - w for none."""
    got = sample(Guided(WORLD, w, null=2), label=1)
    slope = (got[-1] - got[0]).item() / 60
    want = 1.0
    for weight, deviation in ((w, 0.3), (1 - w, 0.6)):
        want *= (deviation**2 / (deviation**2 + 40**2)) ** (weight / 2)
    assert slope == pytest.approx(want, rel=2e-3)


def test_equal_widths_shift_the_mean_past_the_class():
    """With one deviation, guidance is exact: the mean moves to null + w (class - null), up to the start's finite sigma."""
    world = Classes((0.0, 0.5), (0.2, 0.2))
    denoise = Guided(world, 3.0, null=0)
    condition = torch.ones(len(START), dtype=torch.int64)
    x = torch.full_like(START, 0.4)
    got = denoise(x, torch.full((len(START),), 2.0, dtype=torch.float64), condition)
    torch.testing.assert_close(got, Classes((1.5,), (0.2,))(x, torch.full((6,), 2.0, dtype=torch.float64), condition * 0))


@pytest.mark.parametrize("w, calls", [(0.0, [[2] * 6]), (1.0, [[1] * 6]), (2.0, [[1] * 6, [2] * 6])])
def test_evaluations(w, calls):
    counting = Counting()
    Guided(counting, w, null=2)(START, torch.ones(6, dtype=torch.float64), torch.ones(6, dtype=torch.int64))
    assert counting.calls == calls


def test_a_scale_of_sigma_is_taken_row_by_row():
    scale = GuidanceSchedule("interval", 3.0, low=0.5, high=2.0).of([5.0, 1.0, 0.1])
    sigma = torch.tensor([0.1, 1.0, 5.0, 1.0, 0.1, 5.0], dtype=torch.float64)
    condition = torch.ones(6, dtype=torch.int64)
    got = Guided(WORLD, scale, null=2)(START, sigma, condition)
    torch.testing.assert_close(got[[1, 3]], Guided(WORLD, 3.0, null=2)(START, sigma, condition)[[1, 3]])
    torch.testing.assert_close(got[[0, 2, 4, 5]], WORLD(START, sigma, condition)[[0, 2, 4, 5]])
