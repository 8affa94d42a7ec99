"""What happened, in numbers and without a judgement: first and last value of each arm."""

from __future__ import annotations

from dataclasses import dataclass

from germline.report import glossary
from germline.report.arms import Arm, Group
from germline.report.composition import training_text
from germline.report.curves import Series, series_of
from germline.report.text import count, number, plural, ratio

HEADLINE = ("FD-", "coverage")
ENOUGH = 3  # seeds below which nothing may be said about the order of arms


@dataclass(frozen=True)
class Change:
    """A metric of an arm at its first and last generation; ``times`` is last / first where that says something."""

    metric: str
    first: str
    last: str
    times: str | None


@dataclass(frozen=True)
class Line:
    """An arm, what it trained on last, and how its headline metrics changed."""

    arm: Arm
    training: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Statement:
    """The paragraph, a line an arm, the same of real images, what the controls did, and how far the seeds carry."""

    lead: str
    lines: tuple[Line, ...]
    real: tuple[Change, ...]
    controls: tuple[str, ...]
    directions: str
    seeds: str


def statement(group: Group) -> Statement:
    """Return what happened to the arms of a group."""
    chosen = headline(series_of(group))
    apart = next((f" {_apart(same, group)}" for same in chosen if len(same) > 1), "")
    return Statement(
        lead=_lead(group),
        lines=tuple(Line(arm, training_text(arm), tuple(_change(same, arm) for same in chosen)) for arm in group.arms),
        real=tuple(_level(same) for same in chosen if same[0].reference()),
        controls=tuple(_control(arm, chosen[0]) for arm in group.arms if arm.control and arm.length > 1 and chosen),
        directions=" ".join(f"{_title(same)}: {glossary.direction(same[0].better).lower()}" for same in chosen) + apart,
        seeds=_seeds(group),
    )


def headline(found: list[Series]) -> list[list[Series]]:
    """Return the series to name first: of fidelity and diversity, else of the first two metrics; one list a metric, at its lowest k."""
    names = list(dict.fromkeys(series.key.name for series in found))
    named = [name for key in HEADLINE for name in names if name.startswith(key)][:2] or names[:2]
    lowest = {name: min(series.key.k or 0 for series in found if series.key.name == name) for name in named}
    return [[series for series in found if series.key.name == name and (series.key.k or 0) == lowest[name]] for name in named]


def _lead(group: Group) -> str:
    shape = "\N{MULTIPLICATION SIGN}".join(map(str, group.data.image_shape[:2]))
    kind = "grey" if group.data.image_shape[2] == 1 else "colour"
    who = "One model was" if len(group.arms) == 1 else f"{len(group.arms)} recipes (arms) were"
    its = "its" if len(group.arms) == 1 else "each"
    later = (
        f" Each later generation, up to {group.last}, learns from what {its} recipe puts into the training set: real images, images made by"
        " earlier generations, or both."
    )
    founders = {arm.shown.generations[0].images_seen() for arm in group.arms}
    first = "Generation 0 is the pretrained model as it is." if founders == {0} else "Generation 0 learns from the real images."
    return (
        f"{who} run on {group.data.name}: {count(len(group.data.real))} real {kind} images of {shape} pixels."
        f" {first}{later if group.last else ''}"
    )


def _title(same: list[Series]) -> str:
    return glossary.title(same[0].key.name)


def _level(same: list[Series]) -> Change:
    return Change(_title(same), same[0].reference(), "", None)


def _change(same: list[Series], arm: Arm) -> Change:
    ends = next((ends for series in same if (ends := series.ends(arm)) is not None), None)
    if ends is None:
        return Change(_title(same), "not measured", "", None)
    if arm.length == 1:
        return Change(_title(same), number(ends[0]), "", None)
    return Change(_title(same), number(ends[0]), number(ends[1]), ratio(*ends))


def _apart(same: list[Series], group: Group) -> str:
    """Return which arms cannot be compared with which, and why."""
    held = {series.key: [arm.name for arm in group.arms if series.ends(arm)] for series in same}
    if len({key.n for key in held}) < len(held):
        return "Arms differ in number of rows or features, so their values cannot be compared here."
    sizes = "; ".join(f"{', '.join(names)} on {count(key.n or 0)} samples" for key, names in held.items())
    return f"Measured were {sizes}: values on different numbers cannot be compared."


def _control(arm: Arm, same: list[Series]) -> str:
    values = [value for series in same for g in range(arm.length) if (value := series.mean(arm, g)) is not None]
    if not values:
        return ""
    low, high = number(min(values)), number(max(values))
    return f"{arm.name} trains on real images only, in every generation: its {_title(same)} stays between {low} and {high}."


def _seeds(group: Group) -> str:
    if group.seeds < ENOUGH:
        seeds = "one seed" if group.seeds == 1 else plural(group.seeds, "seed")
        return f"{seeds.capitalize()}: differences between remedies are not significance-tested."
    return f"{plural(group.seeds, 'seed')} an arm: means over seeds. Paired differences, with intervals, are below."
