"""The law of a guided ODE sampler against our own solvers, and the effective scale against published tables of the specification."""

import math

import numpy as np
import pytest
import torch

from germline.diffusion import solver
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.diffusion.schedule import karras
from germline.theory import guided_gaussian as theory

CASES = {
    "A": (1.0, 0.5, 0.0, 0.5, 3.0, 3.0, 0.5),
    "B": (1.0, 0.5, 0.0, 0.5, 7.5, 7.5, 0.5),
    "C": (0.0, 0.5, 0.0, 0.7, 3.0, 0.0, 0.2551),
    "D": (0.0, 0.3, 0.0, 0.6, 2.0, 0.0, 0.15),
    "E": (0.0, 0.5, 0.0, 0.4, 3.0, 0.0, 0.7812),
    "F": (1.0, 0.5, 0.0, 0.8, 3.0, 1.7812, 0.1953),
}
STABLE = torch.sqrt(1 / torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0) - 1)
TOY = karras(50, 40.0, 0.01)


def sampled(mc, tc, mu, tu, scale, sigmas=None, name="heun"):
    """The law of the solver's samples with the exact denoisers, by the affine trick."""
    sigmas = karras(300, 80.0, 0.002) if sigmas is None else sigmas
    scale = scale if callable(scale) else lambda sigma, s=scale: s

    def denoise(x_t, sigma):
        conditional = (tc**2 * x_t + sigma**2 * mc) / (tc**2 + sigma**2)
        unconditional = (tu**2 * x_t + sigma**2 * mu) / (tu**2 + sigma**2)
        return unconditional + scale(sigma) * (conditional - unconditional)

    run = lambda start: solver.solve(name, denoise, torch.full((1, 1, 1, 1), start, dtype=torch.float64), sigmas, None).item()
    return theory.affine_law(run, float(sigmas[0]))


@pytest.mark.parametrize("case", CASES)
def test_the_law_is_that_of_the_cases(case):
    *world, mean, std = CASES[case]
    law = theory.law(*world)
    assert (law.mean, law.std) == pytest.approx((mean, std), abs=6e-5)


@pytest.mark.parametrize("case", CASES)
def test_heun_samples_the_law(case):
    *world, mean, std = CASES[case]
    law = sampled(*world)
    assert law.std == pytest.approx(std, rel=0.02)
    assert law.mean == pytest.approx(mean, rel=0.02, abs=1e-9)


def test_the_sampler_is_not_the_tilted_law():
    """Case C: the law that guidance aims at has a standard deviation of .355, the sampler one of .255."""
    from germline.theory.quantitative_genetics import guided_as_fitness

    assert guided_as_fitness(0.0, 0.5, 0.0, 0.7, 3.0)[1] == pytest.approx(0.355, abs=5e-4)
    assert sampled(0.0, 0.5, 0.0, 0.7, 3.0).std == pytest.approx(0.2551, rel=0.02)


def test_spread_falls_doubly_exponentially():
    """ln(std_{k+1} / tu) = s ln(std_k / tu) along a chain with the unconditional law fixed."""
    std = [0.5]
    for _ in range(4):
        std.append(theory.spread(std[-1], 0.7, 1.5))
    assert np.log(np.array(std) / 0.7) == pytest.approx(np.log(0.5 / 0.7) * 1.5 ** np.arange(5))


@pytest.mark.parametrize("tau, s, sigma_max", [(0.5, 3.0, math.inf), (0.5, 7.5, 10.0), (2.0, 1.0, 5.0), (0.1, 0.0, 1.0)])
def test_equal_spreads_have_a_closed_form(tau, s, sigma_max):
    want = theory.mean_of_equal_spreads(1.0, 0.2, tau, s, sigma_max)
    assert theory.mean(1.0, tau, 0.2, tau, s, sigma_max) == pytest.approx(want, abs=1e-7)


def test_a_finite_start_is_that_of_a_solver():
    for world in ((1.0, 0.5, 0.3, 0.8, 3.0), (-1.0, 0.4, 0.5, 0.3, 1.5)):
        assert sampled(*world, karras(800, 8.0, 1e-3)).mean == pytest.approx(theory.mean(*world, 8.0), rel=2e-3)


SCHEDULES = [
    GuidanceSchedule("exp_floor", 7.5, 3.0),
    GuidanceSchedule("exp", 7.5, 2.0),
    GuidanceSchedule("linear", 3.0, over="log_sigma"),
    GuidanceSchedule("interval", 3.0, low=0.2, high=2.0),
]


@pytest.mark.parametrize("tau", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.kind)
def test_a_schedule_moves_the_mean_as_its_effective_scale(schedule, tau):
    sigmas = karras(400, 80.0, 0.002)
    scale = schedule.of(sigmas)
    mean = sampled(1.0, tau, 0.0, tau, scale, sigmas).mean / (1 - tau / math.hypot(tau, 80.0))
    assert mean == pytest.approx(theory.effective_scale(scale, tau, sigmas), rel=0.03)


@pytest.mark.parametrize("tc, tu", [(0.5, 0.7), (0.3, 0.6), (0.5, 0.4), (0.5, 0.501)])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.kind)
def test_a_schedule_narrows_as_its_effective_scale_of_spread(schedule, tc, tu):
    sigmas = karras(400, 80.0, 0.002)
    scale = schedule.of(sigmas)
    effective = theory.effective_scale_of_spread(scale, tc, tu, sigmas)
    assert math.log(sampled(0.0, tc, 0.0, tu, scale, sigmas).std / theory.spread(tc, tu, effective)) == pytest.approx(0, abs=0.03)


def test_equal_widths_are_the_limit_of_the_spread():
    scale = GuidanceSchedule("exp_floor", 7.5, 3.0).of(TOY)
    at = [theory.effective_scale_of_spread(scale, 0.5, tu, TOY) for tu in (0.5, 0.5001)]
    assert at[0] == pytest.approx(at[1], abs=1e-3)


@pytest.mark.parametrize("tau", [0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("low, high", [(0.2, 2.0), (0.0, 1.0), (0.5, 100.0), (50.0, 100.0)])
def test_interval_in_closed_form(tau, low, high):
    scale = GuidanceSchedule("interval", 3.0, low=low, high=high).of(TOY)
    want = theory.effective_scale_of_interval(3.0, low, high, tau, 0.01, 40.0)
    assert theory.effective_scale(scale, tau, TOY) == pytest.approx(want, abs=2e-3)


@pytest.mark.parametrize(
    "kind, rate, table",
    [
        ("exp_floor", 1.0, (3.7, 4.2, 5.1, 6.0)),
        ("exp_floor", 2.0, (2.2, 2.7, 3.7, 4.9)),
        ("exp_floor", 3.0, (1.6, 2.0, 2.9, 4.2)),
        ("exp_floor", 5.0, (1.2, 1.4, 2.1, 3.2)),
        ("exp", 1.0, (3.1, 3.7, 4.7, 5.7)),
        ("exp", 2.0, (1.4, 1.9, 3.1, 4.5)),
    ],
)
def test_stable_diffusions_grid(kind, rate, table):
    """s0 = 7.5 over Stable Diffusion's scaled-linear levels, u = timestep."""
    grid = STABLE.flip(0).tolist()
    assert (grid[0], grid[-1]) == pytest.approx((14.6, 0.029), rel=0.01)
    scale = GuidanceSchedule(kind, 7.5, rate, "timestep", below_one=True).of(grid, STABLE.tolist())
    assert [theory.effective_scale(scale, tau, grid) for tau in theory.TAUS] == pytest.approx(table, abs=0.06)


@pytest.mark.parametrize(
    "start, kind, rate, table",
    [
        (2.0, "exp_floor", 3.0, (1.11, 1.16, 1.22)),
        (3.0, "exp_floor", 3.0, (1.23, 1.33, 1.44)),
        (3.0, "exp_floor", 5.0, (1.06, 1.11, 1.19)),
        (7.5, "exp_floor", 8.0, (1.04, 1.11, 1.22)),
        (3.0, "exp", 2.0, (0.69, 0.87, 1.06)),
    ],
)
def test_the_toys_grid(start, kind, rate, table):
    scale = GuidanceSchedule(kind, start, rate, below_one=True).of(TOY)
    assert [theory.effective_scale(scale, tau, TOY) for tau in (0.1, 0.3, 0.7)] == pytest.approx(table, abs=0.01)


def test_a_constant_is_its_own_effective_scale_and_bounds_hold():
    assert theory.effective_scale(2.5, 0.3, TOY) == 2.5
    assert theory.effective_scale(lambda sigma: 2.5, 0.3, TOY) == pytest.approx(2.5)
    assert theory.effective_scale(lambda sigma: 2.5, 0.3, [math.inf, 10.0, 0.1, 0.0]) == pytest.approx(2.5)
    assert theory.effective_scale(lambda sigma: sigma, 0.3, [5.0]) == 5.0
    early = lambda sigma: 3.0 if sigma > 9.99 else 1.0  # from infinity to 10 the weight is that of the whole start
    share = (1 - (1 - 0.3 / math.hypot(0.3, 10))) / (0.3 / math.hypot(0.3, 0.1))
    assert theory.effective_scale(early, 0.3, [math.inf, 10.0, 0.1]) == pytest.approx(1 + 2 * share, abs=1e-3)


def test_a_spread_of_zero_is_refused():
    for call in (lambda: theory.spread(0.0, 1.0, 2.0), lambda: theory.mean(0, 1, 0, -1, 2), lambda: theory.effective_scale(2.0, 0.0, TOY)):
        with pytest.raises(ValueError, match="Standard deviations must be above 0"):
            call()
