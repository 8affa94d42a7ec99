"""Schedules of guidance against their formulas, on every kind of grid."""

import math

import numpy as np
import pytest
import torch
from exact import Classes

from germline.diffusion.guidance import Guided
from germline.diffusion.guidance_schedule import GuidanceSchedule, share_done
from germline.diffusion.schedule import ddpm, ddpm_levels, karras

KARRAS = karras(50, 40.0, 0.01)
STABLE = torch.sqrt(1 / torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0) - 1)
FLOW = [s / (1 - s) if s < 1 else math.inf for s in np.linspace(1, 0.02, 50)]


@pytest.mark.parametrize("k, sigma", [(0, KARRAS[0].item()), (17, KARRAS[17].item()), (49, 0.01)])
def test_formulas_at_a_karras_level(k, sigma):
    u = k / 49
    at = lambda kind, start, rate=3.0: GuidanceSchedule(kind, start, rate, below_one=True).of(KARRAS)(sigma)
    assert at("exp_floor", 7.5) == pytest.approx(1 + 6.5 * math.exp(-3 * u), rel=1e-12)
    assert at("exp", 7.5, 2.0) == pytest.approx(7.5 * math.exp(-2 * u), rel=1e-12)
    assert at("linear", 7.5) == pytest.approx(1 + 6.5 * (1 - u), rel=1e-12)


def test_step_on_a_karras_grid_is_the_closed_form_between_levels_too():
    share = share_done("step", tuple(KARRAS[:-1].tolist()))
    for sigma in (39.0, 3.21, 0.5, 0.0123):
        want = (40 ** (1 / 7) - sigma ** (1 / 7)) / (40 ** (1 / 7) - 0.01 ** (1 / 7))
        assert share(sigma) == pytest.approx(want, abs=1e-12)
    assert (share(80.0), share(0.001), share(0.0)) == (0, 1, 1)


def test_step_counts_the_levels_of_any_grid():
    for grid in (ddpm(20)[:-1].tolist(), STABLE.flip(0)[::20].tolist(), FLOW):
        share = share_done("step", tuple(grid))
        assert [share(sigma) for sigma in grid] == pytest.approx([k / (len(grid) - 1) for k in range(len(grid))], abs=1e-12)


def test_timestep_is_that_of_training():
    """t by interpolation in ln sigma: exact at a level, halfway at the geometric mean of two, clipped outside."""
    share = share_done("timestep", (14.6, 0.03), STABLE.tolist())
    assert [share(STABLE[t].item()) for t in (0, 300, 999)] == pytest.approx([1, 1 - 300 / 999, 0], abs=1e-12)
    assert share(math.sqrt(STABLE[10].item() * STABLE[11].item())) == pytest.approx(1 - 10.5 / 999)
    assert (share(100.0), share(1e-4)) == (0, 1)
    own = share_done("timestep", (14.6, 0.03))
    assert own(ddpm_levels()[500].item()) == pytest.approx(1 - 500 / 999)


def test_timestep_of_flow_matching():
    """s = (t + 1) / 1000 in training, so sigma is infinite at the last step number, and u = 1 - t / 999."""
    s = np.arange(1, 1001) / 1000
    with np.errstate(divide="ignore"):
        levels = s / (1 - s)
    share = share_done("timestep", tuple(FLOW), levels)
    assert [share(sigma) for sigma in (math.inf, levels[998], levels[0], 1.0)] == pytest.approx([0, 1 / 999, 1, 1 - 499 / 999], abs=1e-12)


def test_log_sigma():
    share = share_done("log_sigma", (40.0, 1.0, 0.4))
    assert [share(sigma) for sigma in (50.0, 40.0, 4.0, 0.4, 0.0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert share_done("log_sigma", (math.inf, 40.0, 0.4))(math.inf) == 0
    assert share_done("log_sigma", (3.0,))(3.0) == share_done("step", (3.0,))(3.0) == 0


def test_interval_is_open_below_and_closed_above():
    scale = GuidanceSchedule("interval", 3.0, low=0.5, high=2.0).of(KARRAS)
    assert [scale(sigma) for sigma in (0.5, 0.6, 2.0, 2.1)] == [1, 3, 3, 1]
    assert GuidanceSchedule("interval", 3.0, low=0.5).of(FLOW)(math.inf) == 3


@pytest.mark.parametrize("grid", [KARRAS, ddpm(10), STABLE.flip(0)[::50], FLOW], ids=["karras", "ddpm", "stable", "flow"])
@pytest.mark.parametrize("over", ["step", "timestep", "log_sigma"])
@pytest.mark.parametrize("kind", ["exp_floor", "linear", "exp"])
def test_every_schedule_falls_from_its_start_on_every_grid(kind, over, grid):
    scale = GuidanceSchedule(kind, 7.5, 2.0, over).of(grid)
    values = [scale(float(sigma)) for sigma in grid if sigma > 0]
    assert values == sorted(values, reverse=True)
    assert 7.5 >= values[0] > values[-1] >= 1
    if over != "timestep":
        assert (values[0], values[-1]) == pytest.approx(
            (7.5, {"exp_floor": 1 + 6.5 * math.exp(-2), "linear": 1, "exp": 7.5 * math.exp(-2)}[kind])
        )


def test_a_schedule_drives_guidance():
    world = Classes((0.0, 1.0), (0.5, 0.5))
    x_t, condition = torch.zeros(3, 1, 1, 1, dtype=torch.float64), torch.ones(3, dtype=torch.int64)
    sigma, schedule = KARRAS[[0, 20, 49]], GuidanceSchedule("linear", 3.0)
    got = Guided(world, schedule.of(KARRAS), null=0)(x_t, sigma, condition)
    for row, k in enumerate((0, 20, 49)):
        want = Guided(world, 1 + 2 * (1 - k / 49), null=0)(x_t, sigma, condition)
        torch.testing.assert_close(got[row], want[row])


def test_what_falls_below_one_is_refused_unless_asked_for():
    schedule = GuidanceSchedule("exp", 2.0, 2.0)
    with pytest.raises(
        ValueError, match=r"exp from 2, a = 2, u = step falls to 0.271 at sigma 0.01.*exp_floor.* 0.693, or ask .*below_one"
    ):
        schedule.of(KARRAS)
    with pytest.raises(ValueError, match="Start at 1 or above"):
        GuidanceSchedule("linear", 0.5).of(KARRAS)
    assert GuidanceSchedule("exp", 2.0, 2.0, below_one=True).of(KARRAS)(0.01) == pytest.approx(2 * math.exp(-2))
    assert GuidanceSchedule("exp", 2.0, 0.693).of(KARRAS)(0.01) > 1, "the rate that the message offers"


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"kind": "cosine"}, "no guidance schedule 'cosine'"),
        ({"over": "time"}, "not over 'time'"),
        ({"rate": -1.0}, "a rate of at least 0"),
        ({"start": math.inf}, "a finite start"),
        ({"kind": "interval", "low": 2.0, "high": 1.0}, "0 <= low < high"),
    ],
)
def test_bad_fields(fields, said):
    with pytest.raises(ValueError, match=said):
        GuidanceSchedule(**fields)


@pytest.mark.parametrize("grid", [[], [0.0], [1.0, 2.0], [2.0, 2.0, 0.0], [2.0, 0.0, 0.0]])
def test_bad_levels(grid):
    with pytest.raises(ValueError, match="levels that fall"):
        GuidanceSchedule().of(grid)
    with pytest.raises(ValueError, match="smallest first"):
        share_done("timestep", (2.0, 1.0), [3.0, 2.0])
