"""An evaluation as tables: for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from germline.core import digest
from germline.core.protocols import Scorer
from germline.evaluate.differences import ALL, ENOUGH, Line, Mean, kinds
from germline.evaluate.drawing import Subject
from germline.evaluate.evaluation import Evaluation
from germline.report import evaluated
from germline.report.evaluated import Asked, Curve, Page, Panel, Point
from germline.report.pictures import data_uri, small
from germline.report.tables import Facts, Table
from germline.report.text import count, number

SHOWN = 12  # prompts with pictures on the page
HEAD = ("model", "mean", "difference", "better on", "prompts")


def table(found: Evaluation, scorer: str) -> Table:
    """Return a line a model, over all prompts: mean, difference in pairs, share of prompts that got better."""
    own = [line for line in found.lines if line.scorer == scorer and line.category == ALL]
    return Table(HEAD, tuple((line.subject, _mean(line.mean), *_moved(line), count(line.prompts)) for line in own))


def by_category(found: Evaluation, scorer: str) -> Table | None:
    """Return a line a category and a column a model: its difference, or its mean where it is compared with none; None of one category."""
    categories = kinds(found.task.questions.categories)
    if not categories:
        return None
    known = {(line.category, line.subject): line for line in found.lines if line.scorer == scorer}
    names = [subject.name for subject in found.subjects]
    sizes = {category: known[category, names[0]].prompts for category in categories}
    rows = [(category or "none", count(sizes[category]), *(_cell(known[category, name]) for name in names)) for category in categories]
    return Table(("category", "prompts", *(f"{s.name}{', difference' if s.against else ', mean'}" for s in found.subjects)), tuple(rows))


def page(found: Evaluation, scorers: Sequence[Scorer], out: Path) -> None:
    """Write the page of an evaluation.

    Raises:
        GermlineError: the file cannot be written.
    """
    questions, each = found.task.questions, found.task.images_a_prompt
    lead = (
        f"{count(len(questions))} prompts, {count(each)} images each, put to {len(found.subjects)} models. Row for row they start from the"
        " same noise, which no training set was drawn from. The prompt is the unit: differences are of one prompt's means, intervals are"
        f" bootstraps over prompts (95 %), and none is given for fewer than {ENOUGH}."
    )
    panels = tuple(_panel(found, scorer) for scorer in scorers)
    arms = ", ".join(dict.fromkeys(subject.arm for subject in found.subjects))
    columns = tuple(subject.name for subject in _pictured(found))
    evaluated.write(Page(f"Prompts put to {arms}", lead, columns, tuple(_asked(found)), panels, tuple(_facts(found, scorers))), out)


def _panel(found: Evaluation, scorer: Scorer) -> Panel:
    selecting = [subject.name for subject in found.subjects if scorer.name in subject.selecting]
    note = (
        "It chose no training row here."
        if not selecting
        else (
            f"It chose training rows of {', '.join(dict.fromkeys(s.arm for s in found.subjects if s.name in selecting))}, so it may rise"
            " there whether or not images become better: look at another scorer."
        )
    )
    return Panel(
        scorer.name, note, evaluated.plotted(_curves(found, scorer.name)), table(found, scorer.name), by_category(found, scorer.name)
    )


def _curves(found: Evaluation, scorer: str) -> list[Curve]:
    known = {line.subject: line for line in found.lines if line.scorer == scorer and line.category == ALL}
    arms: dict[str, list[Point]] = {}
    for subject in found.subjects:
        moved = known[subject.name].difference
        point = Point(subject.round, 0.0) if moved is None else Point(subject.round, moved.value, moved.low, moved.high)
        arms.setdefault(subject.arm, []).append(point)
    return [Curve(arm, tuple(points)) for arm, points in arms.items()]


def _pictured(found: Evaluation) -> list[Subject]:
    """Return the subjects but those whose images another one has too: the arms of a study share generation 0."""
    first = {digest.of_json(found.task.identity(subject)): subject for subject in reversed(found.subjects)}
    return [subject for subject in found.subjects if subject in first.values()]


def _asked(found: Evaluation) -> list[Asked]:
    questions, each, pictured = found.task.questions, found.task.images_a_prompt, _pictured(found)
    first = [questions.categories.index(category) for category in kinds(questions.categories)]
    others = [i for i in np.rint(np.linspace(0, len(questions) - 1, SHOWN)).astype(int).tolist() if i not in first]
    chosen = list(dict.fromkeys([*first, *others]))[:SHOWN]
    return [
        Asked(
            questions.prompts[number],
            questions.categories[number],
            tuple(data_uri(small(found.pools[subject.name].images[[number * each]])[0]) for subject in pictured),
        )
        for number in chosen
    ]


def _facts(found: Evaluation, scorers: Sequence[Scorer]) -> list[Facts]:
    out = [
        Facts(
            "prompts",
            f"{', '.join(dict.fromkeys(found.task.questions.sources))}; sha256 {found.task.questions.digest}; seed {found.task.seed}",
        )
    ]
    for subject in found.subjects:
        out.append(Facts(subject.name, f"sha256 {subject.digest}; {_drawn(subject)}"))
    for scorer in scorers:
        mode = str(getattr(scorer, "preprocessing", "")) or "its own"
        out.append(
            Facts(scorer.name, f"{type(scorer).__name__}, sha256 of part and weights {digest.of_part(scorer)}; pre-processing {mode}")
        )
    return out


def _drawn(subject: Subject) -> str:
    s, scale = subject.sampler, subject.sampler.guidance_scale
    guidance = f"{scale:g}" if isinstance(scale, int | float) else scale.text()
    return f"{s.steps} steps, scheduler {s.scheduler}, guidance {guidance}, {subject.side} pixels, {subject.execution.precision}"


def _mean(mean: Mean) -> str:
    return number(mean.value) + (f" [{number(mean.low)}, {number(mean.high)}]" if mean.low is not None and mean.high is not None else "")


def _moved(line: Line) -> tuple[str, str]:
    if line.difference is None or line.better is None:
        return "", ""
    return f"{'+' if line.difference.value > 0 else ''}{_mean(line.difference)}", f"{100 * line.better:.0f} %"


def _cell(line: Line) -> str:
    return _moved(line)[0] if line.difference is not None else _mean(line.mean)
