"""Guidance that changes with the noise level: a scale for every sigma of a sampler's grid.

Decaying schedules: Yoon et al., arXiv 2407.17493 (ReDiFine), let the scale of classifier-free guidance fall during sampling, from an
initial value at a rate; their formula is unknown to us, so ``exp_floor``, ``exp`` and ``linear`` and the meaning of u are ours.
Intervals: Kynkäänniemi et al., "Applying Guidance in a Limited Interval ...", arXiv 2404.07724, Eq. 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["exp_floor", "exp", "linear", "interval"]
Over = Literal["step", "timestep", "log_sigma"]
KARRAS_EXPONENT = 7.0


@dataclass(frozen=True)
class GuidanceSchedule:
    """A guidance scale s(sigma), 1 being none, that begins at ``start`` in pure noise. u in [0, 1] is the share of the denoising done.

    - ``exp_floor``: s = 1 + (start - 1) exp(-rate u)
    - ``exp``: s = start exp(-rate u); ends below 1 where start < e^rate
    - ``linear``: s = 1 + (start - 1)(1 - u)
    - ``interval``: s = start for low < sigma <= high, else 1; no u

    The same rate over another u is another schedule, so u is named by ``over``:

    - ``step``: k / (N - 1) at the k-th of the grid's N levels. Between two levels it is linear in sigma^(1/7), which on a Karras
      grid of exponent 7 is (sigma_max^(1/7) - sigma^(1/7)) / (sigma_max^(1/7) - sigma_min^(1/7)) everywhere.
    - ``timestep``: 1 - t / (T - 1), t the step number in training that has this sigma, linear in ln sigma between two step numbers.
    - ``log_sigma``: ln(sigma_max / sigma) / ln(sigma_max / sigma_min), over the grid's finite levels above 0.

    Source: a scale of Ho and Salimans, arXiv 2207.12598, let vary; each formula's own source stands at the top of this file.

    Attributes:
        kind: the formula.
        start: scale in pure noise; of ``interval``, inside it.
        rate: how fast it decays; not used by ``linear`` and ``interval``.
        over: what u counts.
        low: of ``interval``, the noise level above which guidance begins.
        high: of ``interval``, the last noise level with guidance; none is no bound.
        below_one: allow a scale below 1, which steers away from the condition.

    Raises:
        ValueError: a field out of range.
    """

    kind: Kind = "exp_floor"
    start: float = 2.0
    rate: float = 3.0
    over: Over = "step"
    low: float = 0.0
    high: float | None = None
    below_one: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("exp_floor", "exp", "linear", "interval"):
            raise ValueError(f"There is no guidance schedule {self.kind!r}; there are exp_floor, exp, linear and interval.")
        if self.over not in ("step", "timestep", "log_sigma"):
            raise ValueError(f"A guidance schedule runs over step, timestep or log_sigma, but not over {self.over!r}.")
        if not math.isfinite(self.start) or not math.isfinite(self.rate) or self.rate < 0:
            raise ValueError(f"A guidance schedule needs a finite start and a rate of at least 0, but got {self.start} and {self.rate}.")
        if not 0 <= self.low < (math.inf if self.high is None else self.high):
            raise ValueError(f"A guidance interval needs 0 <= low < high, but got {self.low} and {self.high}.")

    def of(self, sigmas: Iterable[float], levels: Iterable[float] | None = None) -> Callable[[float], float]:
        """Return sigma -> guidance scale on a grid of noise levels, largest first, with or without a last 0.

        A first level of infinity (flow matching: sigma = s / (1 - s) at s = 1) has u = 0. ``levels`` are the noise levels of training,
        smallest first, for ``timestep``; DDPM's 1,000 of linear betas when not given.

        Raises:
            ValueError: the levels do not fall, or the scale falls below 1 on them and ``below_one`` was not asked for.
        """
        grid = falling(sigmas)
        scale = self._inside if self.kind == "interval" else self._decaying(share_done(self.over, grid, levels))
        lowest = min(grid, key=scale)
        if scale(lowest) < 1 and not self.below_one:
            raise ValueError(
                f"The guidance schedule {self.text()} falls to {scale(lowest):.3g} at sigma {lowest:.3g}, and below 1 guidance "
                f"steers away from the condition. {self._cure()}, or ask for it with below_one."
            )
        return scale

    def text(self) -> str:
        """Return the schedule in a few words, u included: ``exp_floor from 7.5, a = 3, u = timestep``."""
        if self.kind == "interval":
            return f"interval of {self.start:g} for {self.low:g} < sigma" + ("" if self.high is None else f" <= {self.high:g}")
        return f"{self.kind} from {self.start:g}" + ("" if self.kind == "linear" else f", a = {self.rate:g}") + f", u = {self.over}"

    def _inside(self, sigma: float) -> float:
        return self.start if self.low < sigma and (self.high is None or sigma <= self.high) else 1.0

    def _decaying(self, share: Callable[[float], float]) -> Callable[[float], float]:
        start, rate = self.start, self.rate
        if self.kind == "exp_floor":
            return lambda sigma: 1 + (start - 1) * math.exp(-rate * share(sigma))
        if self.kind == "exp":
            return lambda sigma: start * math.exp(-rate * share(sigma))
        return lambda sigma: 1 + (start - 1) * (1 - share(sigma))

    def _cure(self) -> str:
        if self.start < 1:
            return "Start at 1 or above"
        most = math.floor(1000 * math.log(self.start)) / 1000
        return f"Take exp_floor, which ends above 1, or a rate of at most ln({self.start:g}) = {most:g}"


def share_done(over: Over, grid: tuple[float, ...], levels: Iterable[float] | None = None) -> Callable[[float], float]:
    """Return sigma -> u, the share of the denoising done on a falling grid of levels above 0, clipped to [0, 1]."""
    if over == "timestep":
        return _by_timestep(np.array([*(_ddpm() if levels is None else levels)], np.float64))
    if over == "log_sigma":
        finite = [sigma for sigma in grid if math.isfinite(sigma)]
        return _by_logarithm(finite[0], finite[-1]) if finite else lambda sigma: 0.0
    rising = np.array(grid[::-1]) ** (1 / KARRAS_EXPONENT)
    done = np.linspace(1, 0, len(grid)) if len(grid) > 1 else np.zeros(1)
    return lambda sigma: float(np.interp(sigma ** (1 / KARRAS_EXPONENT), rising, done))


def falling(sigmas: Iterable[float]) -> tuple[float, ...]:
    """Return the levels above 0.

    Raises:
        ValueError: there is none, or they do not fall.
    """
    grid = tuple(float(sigma) for sigma in sigmas)
    grid = grid[:-1] if grid and grid[-1] == 0 else grid
    if not grid or not all(a > b for a, b in zip(grid, (*grid[1:], 0.0), strict=True)):
        raise ValueError("A guidance schedule is bound to noise levels that fall from the largest to one above 0, or to 0.")
    return grid


def _by_logarithm(largest: float, smallest: float) -> Callable[[float], float]:
    def share(sigma: float) -> float:
        if sigma >= largest:  # one level: nothing is done before it
            return 0.0
        return math.log(largest / sigma) / math.log(largest / smallest) if sigma > smallest else 1.0

    return share


def _by_timestep(levels: np.ndarray) -> Callable[[float], float]:
    if len(levels) < 2 or not (levels[0] > 0 and (np.diff(levels) > 0).all()):
        raise ValueError("The noise levels of training must rise from one above 0; give them smallest first.")
    finite = levels[np.isfinite(levels)]
    u = 1 - np.arange(len(finite)) / (len(levels) - 1)

    def share(sigma: float) -> float:
        if sigma > finite[-1]:
            return 0.0
        return float(np.interp(math.log(sigma), np.log(finite), u)) if sigma > 0 else 1.0

    return share


def _ddpm() -> list[float]:
    from germline.diffusion.schedule import ddpm_levels  # torch, which a page about a run does not need

    return [float(sigma) for sigma in ddpm_levels()]
