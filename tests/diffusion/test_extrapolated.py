"""Extrapolation away from a worse model: its closed form for Gaussians, its neutral element, its cost."""

import pytest
import torch
from exact import Classes

from germline.diffusion import solver
from germline.diffusion.guidance import Extrapolated, Guided
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.diffusion.model import Pair
from germline.diffusion.schedule import karras

GOOD = Classes(means=(0.2, 0.5), deviations=(0.5, 0.3))
BAD = Classes(means=(0.2, 0.1), deviations=(0.4, 0.3))  # what self-training does: class 0 is narrower, class 1 has drifted
START = torch.linspace(-30, 30, 6, dtype=torch.float64).reshape(6, 1, 1, 1)
SIGMA = torch.tensor([0.1, 0.5, 1.0, 2.0, 5.0, 20.0], dtype=torch.float64)
LABELS = torch.arange(6) % 2


def grad_log_p(world):
    """(D - x) / sigma^2."""
    return (world(START, SIGMA, LABELS) - START) / SIGMA[:, None, None, None] ** 2


@pytest.mark.parametrize("omega", [0.5, 1.0, 3.0])
def test_it_is_the_papers_formula_on_grad_log_p(omega):
    """(1 + omega) s_r - omega s_s, with omega = w - 1."""
    got = grad_log_p(Extrapolated(GOOD, BAD, 1 + omega))
    torch.testing.assert_close(got, (1 + omega) * grad_log_p(GOOD) - omega * grad_log_p(BAD))


@pytest.mark.parametrize("w", [1.5, 4.0])
def test_the_flow_has_the_closed_form(w):
    """The slope of x over the start is prod_k (v_k / (v_k + sigma_max^2))^(w_k / 2), with w of the good model and 1 - w of the bad."""
    condition = torch.zeros(6, dtype=torch.int64)
    extrapolated = Extrapolated(GOOD, BAD, w)
    denoise = lambda x_t, sigma: extrapolated(x_t, torch.full((6,), sigma, dtype=torch.float64), condition)
    got = solver.heun(denoise, START, karras(500, 40.0, 1e-3))
    want = 1.0
    for weight, deviation in ((w, 0.5), (1 - w, 0.4)):
        want *= (deviation**2 / (deviation**2 + 40**2)) ** (weight / 2)
    assert (got[-1] - got[0]).item() / 60 == pytest.approx(want, rel=2e-3)


def test_a_drift_is_undone_past_the_good_model():
    """With equal widths the mean is bad + w (good - bad)."""
    ones = torch.ones(6, dtype=torch.int64)
    got = Extrapolated(GOOD, BAD, 2.0)(START, SIGMA, ones)
    torch.testing.assert_close(got, Classes((0.9,), (0.3,))(START, SIGMA, ones * 0))


def test_it_is_linear_in_the_scale():
    at = lambda w: Extrapolated(GOOD, BAD, w)(START, SIGMA, LABELS)
    torch.testing.assert_close(at(3.0) - at(1.0), 2 * (at(2.0) - at(1.0)))
    torch.testing.assert_close(at(0.0), BAD(START, SIGMA, LABELS))


class Counting:
    def __init__(self, world):
        self.world, self.calls = world, 0

    def __call__(self, *args):
        self.calls += 1
        return self.world(*args)


def test_w_of_one_is_the_good_model_to_the_bit_at_its_cost():
    good, bad = Counting(GOOD), Counting(BAD)
    assert torch.equal(Extrapolated(good, bad, 1.0)(START, SIGMA, LABELS), GOOD(START, SIGMA, LABELS))
    assert (good.calls, bad.calls) == (1, 0)
    Extrapolated(good, bad, 2.0)(START, SIGMA, LABELS)
    assert (good.calls, bad.calls) == (2, 1)
    assert torch.equal(Extrapolated(GOOD, GOOD, 7.0)(START, SIGMA, LABELS), GOOD(START, SIGMA, LABELS))


def test_a_scale_of_sigma_is_taken_row_by_row():
    got = Extrapolated(GOOD, BAD, GuidanceSchedule("interval", 3.0, low=0.4, high=2.0).of([20.0, 0.1]))(START, SIGMA, LABELS)
    inside = (SIGMA > 0.4) & (SIGMA <= 2)
    torch.testing.assert_close(got[inside], Extrapolated(GOOD, BAD, 3.0)(START, SIGMA, LABELS)[inside])
    assert torch.equal(got[~inside], GOOD(START, SIGMA, LABELS)[~inside])


def test_it_commutes_with_classifier_free_guidance():
    """Both are linear: guiding each model and extrapolating is extrapolating and guiding."""
    inside = Extrapolated(Guided(GOOD, 2.0, null=1), Guided(BAD, 2.0, null=1), 1.7)
    outside = Guided(Extrapolated(GOOD, BAD, 1.7), 2.0, null=1)
    zeros = torch.zeros(6, dtype=torch.int64)
    torch.testing.assert_close(inside(START, SIGMA, zeros), outside(START, SIGMA, zeros))


def test_a_pair_is_a_model():
    class Exact:
        null = 2

        def __init__(self, world):
            self.world = world

        def denoiser(self, precision):
            return self.world

    pair = Pair(Exact(GOOD), Exact(BAD), 1.5)
    assert pair.null == 2
    assert (pair.evaluations, Pair(pair.good, pair.bad, 1.0).evaluations, Pair(pair, pair, 2.0).evaluations) == (2, 1, 4)
    torch.testing.assert_close(pair.denoiser()(START, SIGMA, LABELS), Extrapolated(GOOD, BAD, 1.5)(START, SIGMA, LABELS))
