"""The numbers, and how they were made: budgets, sources, commands, differences."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from germline.core.digest import Json
from germline.report.arms import Arm, Group, Run
from germline.report.curves import Series, heading, series_of
from germline.report.effective import of_config
from germline.report.spent import Spent
from germline.report.terminal import part_text
from germline.report.text import count, number


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of each a heading; ``rows_of`` and ``columns_of`` name the arms of rows and columns, where they are arms."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rows_of: tuple[Arm | None, ...] = ()
    columns_of: tuple[Arm | None, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What was equal for runs: versions, execution, data."""

    name: str
    text: str


def numbers(group: Group) -> Table | None:
    """Return first and last generation of every metric, a row a metric and a column an arm, beside the level of real images."""
    found = series_of(group)
    if not found:
        return None
    same: dict[str, list[Series]] = {}
    for series in found:
        same.setdefault(heading(series, found, ("k",)), []).append(series)
    rows = tuple(row for metric, together in same.items() for row in _rows(metric, together, found, group.arms))
    return Table(("metric", *(arm.name for arm in group.arms), "real images", "better"), rows, columns_of=(None, *group.arms, None, None))


def budgets(group: Group, costs: Mapping[Path, Spent] | None = None) -> Table:
    """Return what every run cost and where its recipe comes from; ``costs`` are those of runs by folder, where they are known."""
    runs = [(arm, run) for arm in group.arms for run in arm.runs]
    known = [(costs or {}).get(run.chain.path) for _, run in runs]
    head = ["run", "source", "seed", "generations", "images seen", "rows sampled", "CPU seconds", "wall seconds"]
    rows = [[run.name, *_budget(run)] for _, run in runs]
    if any(known):
        for line, cells in zip([head, *rows], [["network evaluations", "real rows used"], *map(_cost, known)], strict=True):
            line[6:6] = cells
    return Table(tuple(head), tuple(map(tuple, rows)), tuple(arm for arm, _ in runs))


def differences(group: Group) -> Table | None:
    """Return the parts in which the arms differ, a row a part; of equal parts only the fields that differ."""
    parts = [_mapping(arm.shown.config["parts"]) for arm in group.arms]
    names = [name for name in parts[0] if name not in ("part", "version", "source") and any(p.get(name) != parts[0][name] for p in parts)]
    if not names:
        return None
    rows = tuple((name, *_part_texts([part.get(name) for part in parts])) for name in names)
    return Table(("part", *(arm.name for arm in group.arms)), rows, columns_of=(None, *group.arms))


def commands(group: Group) -> list[str]:
    """Return the commands that make the runs again, in order."""
    found = [_command(run, [r for a in group.arms for r in a.runs]) for arm in group.arms for run in arm.runs]
    return list(dict.fromkeys(found))


def facts(group: Group) -> list[Facts]:
    """Return versions, execution, what guidance schedules amount to, and data; where runs differ, each of them."""
    runs = [run for arm in group.arms for run in arm.runs]
    out = []
    for key in ("versions", "execution"):
        texts: dict[str, list[str]] = {}
        for run in runs:
            texts.setdefault(", ".join(f"{k} {v}" for k, v in _mapping(run.config.get(key)).items()), []).append(run.name)
        out += [Facts(key if len(texts) == 1 else f"{key} of {', '.join(names)}", text) for text, names in texts.items()]
    for arm in group.arms:
        if (guidance := of_config(arm.shown.config)) is not None:
            out.append(Facts(f"guidance of {arm.name}", guidance.text))
    sizes = ", ".join(f"{part} {count(len(getattr(group.data, part)))}" for part in ("real", "reserve", "judge", "held_out"))
    return [*out, Facts("data", f"{group.data.name}; rows: {sizes}; sha256 {runs[0].splits}")]


def _rows(metric: str, together: Sequence[Series], found: Sequence[Series], arms: Sequence[Arm]) -> list[tuple[str, ...]]:
    """Return the rows of a metric: one, if no arm was measured on several numbers of samples; the rarer number stands at its cells."""
    held = {id(series): [arm for arm in arms if series.ends(arm)] for series in together}
    if len({arm for owned in held.values() for arm in owned}) < sum(map(len, held.values())):
        return [(heading(one, found), *(_ends(one, arm) for arm in arms), one.reference(), _better(one)) for one in together]
    main, *others = sorted(together, key=lambda one: -len(held[id(one)]))
    cells = [_ends(main, arm) or ", ".join(f"{text}, n = {one.key.n}" for one in others if (text := _ends(one, arm))) for arm in arms]
    levels = [f"{one.reference()}, n = {one.key.n}" for one in others if one.reference() not in ("", main.reference())]
    return [(heading(main, found), *cells, "; ".join(filter(None, [main.reference(), *levels])), _better(main))]


def _ends(series: Series, arm: Arm) -> str:
    ends = series.ends(arm)
    if ends is None:
        return ""
    return number(ends[0]) if arm.length == 1 else f"{number(ends[0])} \N{RIGHTWARDS ARROW} {number(ends[1])}"


def _better(series: Series) -> str:
    return {"low": "lower", "high": "higher"}.get((series.better or "").removesuffix("er"), "")


def _budget(run: Run) -> tuple[str, ...]:
    source = _mapping(run.config["parts"]).get("source")
    seen = [generation.images_seen() for generation in run.generations]
    sampled = sum(len(generation.samples) for generation in run.generations)
    times = [entry for generation in run.generations for entry in run.chain.timing(generation.number)]
    cpu, wall = (sum(float(str(entry[clock])) for entry in times if clock in entry) for clock in ("cpu", "wall"))
    known = [images for images in seen if images is not None]
    return (
        str(source or ""),
        str(run.seed),
        f"0 to {run.last.number}",
        count(sum(known)) if len(known) == len(seen) else "not stated",
        count(sampled),
        f"{cpu:,.0f}" if times else "",
        f"{wall:,.0f}" if times else "",
    )


def _cost(known: Spent | None) -> list[str]:
    return ["", ""] if known is None else [count(known.evaluations), count(known.real_rows)]


def _part_texts(parts: Sequence[Json]) -> list[str]:
    first = parts[0]
    if isinstance(first, dict) and all(isinstance(part, dict) and part.get("part") == first.get("part") for part in parts):
        differ = [key for key in first if any(_mapping(part).get(key) != first[key] for part in parts)]
        return [", ".join(f"{key} = {part_text(_mapping(part).get(key))}" for key in differ) for part in parts]
    return ["none" if part in (None, []) else part_text(part) for part in parts]


def _command(run: Run, runs: Sequence[Run]) -> str:
    """Return the command line of a run; a study's is the same for all its arms."""
    names, last = run.names, max(r.last.number for r in runs)
    data = [word for key, value in _mapping(names.get("data")).items() for word in _flag(key, value) if value not in (None, False)]
    if "study" in names:
        seeds = max(r.seed for r in runs) + 1
        out = ["--out", _place(run.chain.path.parent), "--generations", str(last), *(["--seeds", str(seeds)] if seeds > 1 else [])]
        return shlex.join(["germline", "study", str(names["study"]), *out, *data])
    if "recipe" in names:
        own = [word for key, value in _mapping(names.get("kwargs")).items() for word in _flag(key, value)]
        out = ["--out", _place(run.chain.path), "--generations", str(run.last.number), "--seed", str(run.seed)]
        return shlex.join(["germline", "run", str(names["recipe"]), *out, *own, *data])
    if "adopted" in names:
        return f"# {run.name} was adopted: another program made it"
    return f"# {run.name} was made in Python, so no command makes it again"


def _flag(name: str, value: Json) -> list[str]:
    if isinstance(value, dict):
        return [word for key, inner in value.items() for word in _flag(key, inner)]
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else "--no-" + name.replace("_", "-")]
    return [flag, *map(str, value if isinstance(value, list) else [value])]


def _place(path: Path) -> str:
    """Return a folder as the user may have typed it, without saying where on this computer it lies."""
    return path.as_posix() if not path.is_absolute() else f"runs/{path.name}"


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
