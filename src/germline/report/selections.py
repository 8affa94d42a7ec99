"""Selection, before and after: what was on offer to a generation, what of it was taken first, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from germline.core.generation import column_of
from germline.core.pool import GIVEN, UNKNOWN, Pool
from germline.report.arms import Arm, Group
from germline.report.grids import label
from germline.report.origins import origin_name
from germline.report.pictures import data_uri, small
from germline.report.tables import Table
from germline.report.text import count, number

TILES = 10
BYTES = 300_000  # of pixels in all strips of a page
MOST = 20  # classes whose counts are named one by one


@dataclass(frozen=True)
class Taken:
    """An image on offer: where it came from, and its condition in words."""

    uri: str
    origin: str
    label: str


@dataclass(frozen=True)
class Selection:
    """One choice of an arm: rows in order of choice, rows left out evenly spread over the offer, and why those were left out."""

    arm: Arm
    generation: int
    seed: int
    by: str
    chosen: tuple[Taken, ...]
    left: tuple[Taken, ...]
    reasons: str
    classes: str


@dataclass(frozen=True)
class Selections:
    """The choices of all arms that leave rows out, and what was on offer beside what was chosen, a row an arm."""

    found: tuple[Selection, ...]
    table: Table


def selections(group: Group, share: float = 1.0) -> Selections | None:
    """Return the last choice of every arm that leaves rows out, of its lowest seed; None where no arm does.

    ``share`` is the group's part of what the page may weigh.
    """
    arms = [arm for arm in group.arms if arm.shown.last.training_known and _leaves_out(arm)]
    if not arms:
        return None
    each = prod(small(group.data.real.images[:1]).shape[1:])
    tiles = next((n for n in (TILES, TILES // 2) if len(arms) * 2 * n * each <= share * BYTES), 3)
    offers = [arm.shown.last.offer(arm.shown.data) for arm in arms]
    scores = list(dict.fromkeys(name for offer in offers for name in scores_of(offer)))
    head = ("arm", "rows", "real", "mean age", "of one class", *(f"mean {name}" for name in scores))
    rows = tuple((arm.name, *_cells(offer, arm.shown.last.number, scores)) for arm, offer in zip(arms, offers, strict=True))
    found = tuple(_selection(arm, offer, group.data.classes, tiles) for arm, offer in zip(arms, offers, strict=True))
    return Selections(found, Table(head, rows, rows_of=tuple(arms)))


def scores_of(offer: Pool) -> list[str]:
    """Return the names of an offer's scores: its columns, but for the order of choice and what samplers and data sets count."""
    return [name for name in offer.columns if name not in ("order", "attempt", "dataset_row")]


def _leaves_out(arm: Arm) -> bool:
    return bool((column_of(arm.shown.last.choice, "order") < 0).any())


def _selection(arm: Arm, offer: Pool, classes: tuple[str, ...], tiles: int) -> Selection:
    order, reason = offer.columns["order"], column_of(arm.shown.last.choice, "reason")
    chosen, left = np.flatnonzero(order >= 0), np.flatnonzero(order < 0)
    first = chosen[np.argsort(order[chosen], kind="stable")][:tiles]
    spread = left[np.rint(np.linspace(0, len(left) - 1, min(tiles, len(left)))).astype(int)]
    why, rows = np.unique(reason[left], return_counts=True)
    return Selection(
        arm=arm,
        generation=arm.shown.last.number,
        seed=arm.shown.seed,
        by="no selector" if reason[chosen[0]] == "all" else str(reason[chosen[0]]),
        chosen=_taken(offer, first, classes),
        left=_taken(offer, spread, classes),
        reasons=", ".join(f"{count(int(n))} {text}" for text, n in zip(why, rows, strict=True)),
        classes=_classes(offer, order >= 0, classes),
    )


def _taken(offer: Pool, rows: np.ndarray, classes: tuple[str, ...]) -> tuple[Taken, ...]:
    images = small(offer.images[rows])
    names = [origin_name(int(made)) for made in offer.generation[rows]]
    labels = [label(condition, classes) for condition in offer.condition[rows]]
    return tuple(Taken(data_uri(image), *said) for image, *said in zip(images, names, labels, strict=True))


def _classes(offer: Pool, chosen: np.ndarray, classes: tuple[str, ...]) -> str:
    """Return "a: 29 of 116, b: 31 of 116"; of many classes only how few and how many rows one has."""
    values, whole = np.unique(offer.condition, return_counts=True)
    part = np.array([np.sum(offer.condition[chosen] == value) for value in values])
    if len(values) > MOST:
        return f"{len(values)} conditions, of which {int((part > 0).sum())} are among the chosen rows"
    return ", ".join(f"{label(v, classes)}: {count(int(p))} of {count(int(n))}" for v, p, n in zip(values, part, whole, strict=True))


def _cells(offer: Pool, generation: int, scores: list[str]) -> tuple[str, ...]:
    chosen = offer.take(offer.columns["order"] >= 0)
    known = {name: (_mean(offer.columns[name]), _mean(chosen.columns[name])) for name in scores if name in offer.columns}
    pairs = [
        (count(len(offer)), count(len(chosen))),
        (_real(offer), _real(chosen)),
        (_age(offer, generation), _age(chosen, generation)),
        (_range(offer, offer), _range(chosen, offer)),
        *(known.get(name, ("", "")) for name in scores),
    ]
    return tuple(f"{before} \N{RIGHTWARDS ARROW} {after}" if before or after else "" for before, after in pairs)


def _mean(values: np.ndarray) -> str:
    return number(float(np.mean(values)))


def _real(pool: Pool) -> str:
    return "unknown" if np.isin(pool.generation, (UNKNOWN, GIVEN)).any() else f"{100 * float(pool.real.mean()):.0f} %"


def _age(pool: Pool, generation: int) -> str:
    """Return how many generations ago the made rows were made, on average; nothing where none was made."""
    made = pool.generation[pool.generation >= 0]
    return number(generation - float(made.mean())) if len(made) else "none made"


def _range(pool: Pool, offer: Pool) -> str:
    """Return how few and how many rows a class of the offer has in the pool."""
    sizes = [int(np.sum(pool.condition == value)) for value in np.unique(offer.condition)]
    return count(min(sizes)) if min(sizes) == max(sizes) else f"{count(min(sizes))} to {count(max(sizes))}"
