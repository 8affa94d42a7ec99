"""What the judge says of a chain: one word, and one finding for each of the four things that a model can lose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from germline.core.digest import Json

Word = Literal["improving", "stable", "unclear", "collapsing", "diverging", "too short"]
AxisName = Literal["fidelity", "diversity", "novelty", "agreement"]
Says = Literal["better", "steady", "worse", "overshoots", "unknown"]

MEANING: Mapping[Word, str] = {
    "improving": "two measures or more got better, and none worse",
    "stable": "no measure got worse, and not two got better",
    "unclear": "something certainly got worse, but not the two measures that an alarm needs: neither healthy nor proven sick",
    "collapsing": "two measures or more got worse, and samples lie closer together or closer to their training rows",
    "diverging": "two measures or more got worse, or passed what real images have, and samples do not close up",
    "too short": "under four generations, and no change that is plain already",
}


@dataclass(frozen=True)
class Axis:
    """One of fidelity, diversity, novelty and agreement, over the generations.

    ``values[g]`` is the measure of generation g, ``low`` and ``high`` the ends of its metric noise. ``trend`` is the change a generation,
    from ``trend_low`` to ``trend_high`` with 95 % confidence. ``change`` is the first generation after which the level is another,
    between ``change_low`` and ``change_high``; None where there is none. ``reference`` is what real data scores.
    """

    name: AxisName
    measure: str
    says: Says
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    better: Literal["high", "low"]
    trend: float
    trend_low: float
    trend_high: float
    reference: float | None = None
    change: int | None = None
    change_low: int | None = None
    change_high: int | None = None


@dataclass(frozen=True)
class Verdict:
    """``word`` over generations 0 to ``generations`` - 1, never from one number: ``because`` says which axes speak.

    ``since`` is the generation from which it holds; ``best`` the generation to go back to.
    """

    word: Word
    axes: tuple[Axis, ...]
    best: int
    generations: int
    since: int | None = None
    because: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the verdict as JSON."""
        return {**asdict(self), "axes": [_plain(asdict(axis)) for axis in self.axes], "because": list(self.because)}


def _plain(fields: dict[str, Json]) -> dict[str, Json]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
