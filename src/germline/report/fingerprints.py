"""The pattern that each model leaves in all its images, as a picture: first and last generation of every arm, and what chance leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from germline.core.pool import Pool
from germline.metrics.fingerprint import pattern
from germline.report.arms import Arm, Group, Run
from germline.report.pictures import data_uri
from germline.report.text import number

ROWS = 2_000  # of each set; more change little, and take long where images are large
GREY = 128


@dataclass(frozen=True)
class Picture:
    """One pattern, grey where there is none; what it is of, and its measured size."""

    uri: str
    title: str
    size: str


@dataclass(frozen=True)
class Row:
    """The patterns of one arm, of its lowest seed."""

    arm: Arm
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Fingerprints:
    """All patterns in one scale: black is ``span`` grey levels below none, white above. ``real`` is what chance leaves of real images."""

    real: Picture
    rows: tuple[Row, ...]
    span: float


def fingerprints(group: Group) -> Fingerprints | None:
    """Return the patterns of the arms whose fingerprint was measured; None where there is none."""
    found: dict[tuple[Arm, int], Float[np.ndarray, "h w c"]] = {}
    beside = _first(group.data.held_out)
    for arm in group.arms:
        if _measured(arm.shown, 0, "samples"):
            for generation in dict.fromkeys((0, arm.shown.last.number)):
                found[arm, generation] = pattern(_first(arm.shown.generations[generation].samples), beside)
    if not found:
        return None
    chance = pattern(_first(group.data.real), beside)
    span = float(max(np.quantile(np.abs(one), 0.995) for one in (chance, *found.values()))) or 1.0
    shown = next(arm.shown for arm, _ in found)
    arms = dict.fromkeys(arm for arm, _ in found)
    return Fingerprints(
        Picture(data_uri(shaded(chance, span)), "real images", _measured(shown, 0, "reference")),
        tuple(
            Row(
                arm,
                tuple(
                    Picture(data_uri(shaded(one, span)), f"generation {g}", _measured(arm.shown, g, "samples"))
                    for (whose, g), one in found.items()
                    if whose is arm
                ),
            )
            for arm in arms
        ),
        span,
    )


def shaded(values: Float[np.ndarray, "h w c"], span: float) -> UInt8[np.ndarray, "h w c"]:
    """Return values of -span to span as grey levels (or colours) around the middle; what lies beyond is cut off."""
    out: np.ndarray = np.clip(np.rint(GREY + values / span * (255 - GREY)), 0, 255).astype(np.uint8)
    return out


def _first(pool: Pool) -> Pool:
    return pool if len(pool) <= ROWS else pool.take(np.arange(ROWS))


def _measured(run: Run, generation: int, of: str) -> str:
    """Return the fingerprint's size with its interval, nothing where it was not measured."""
    if generation >= len(run.values):
        return ""
    value = next((v for v in run.values[generation] if v.name == "fingerprint" and v.of == of), None)
    if value is None or value.low is None or value.high is None:
        return ""
    return f"{number(value.value)} [{number(value.low)}, {number(value.high)}]"
