"""The loop, from the command line's flags to its last line."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote

from germline import registry
from germline.chain import FORK, fork
from germline.core import digest
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.generation import refuse_fewer_than_none
from germline.core.progress import bars
from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.core.verdict import Verdict
from germline.diffusion.model import ClassModel
from germline.estimate import estimate
from germline.flags import Parsed, counted, parse, sided
from germline.hacking import WORD, Fallen, fallen
from germline.judge import judge
from germline.loop import Loop
from germline.measure import measure as measure_generation
from germline.measure import measured
from germline.metrics import RankCorrelation
from germline.pipelines.processes import processes
from germline.recipes.preference_setup import FirstRound
from germline.registry import plain
from germline.report.effective import effective
from germline.report.terminal import one_line, print_parts, print_verdict
from germline.scorers.named import scorer as scorer_of
from germline.verbs.arguments import FOLDER, one_run, print_json


def go(arguments: Sequence[str]) -> None:
    """Run the recipe that the first argument names, with the flags that follow.

    Raises:
        BadInput: what was asked for cannot be; nothing is written then.
    """
    group = processes()
    with group.one_by_one():
        given, recipe, data = prepared(arguments)
    flags = given.run
    refuse_fewer_than_none(flags.generations)  # before a folder is made
    if flags.dry_run:
        if group.count > 1:
            raise BadInput("--dry-run times steps of one process; ask for it without torchrun.")
        return dry_run(given, recipe, data)
    recipe.enough(flags.generations, data)  # before a folder is made
    metrics = registry.metrics_for(data, recipe, [scorer_of(name) for name in flags.held_out])
    if WORD in flags.stop_on:
        refuse_blind(recipe, metrics)  # before a folder is made
    path = flags.out or FOLDER / given.recipe.rsplit(":", 1)[-1]
    if flags.rollback is not None and not group.rank:
        roll_back(flags.rollback, path)
    names: dict[str, Json] = {"recipe": given.recipe, "kwargs": plain(given.kwargs), "data": plain(given.real_images)}
    names |= registry.packages(given.recipe, given.real_images.data)
    loop = Loop.at(path, recipe, data, seed=flags.seed, names=names, progress=bars, accept_drift=flags.accept_drift)
    for generation in loop.run(flags.generations):
        values = measure_generation(generation, data, metrics, progress=bars)
        if flags.json:
            print_json({"generation": generation.number, "values": [value.to_json() for value in values]})
        else:
            print(one_line(generation.number, values), flush=True)
        if WORD in flags.stop_on and (found := fallen([measured(one) for one in (*generation.earlier, generation)], recipe.scorers)):
            return hacked(path, found, flags.json)
        if (
            set(flags.stop_on) - {WORD}
            and generation.number
            and (said := judge(loop.chain, data, generations=generation.number + 1)).word in flags.stop_on
        ):
            return stopped(path, said, flags.json)
    if not flags.json and not group.rank:
        print(f"\n{path} is finished. Look at it: germline report {quote(str(path))}")


def refuse_blind(recipe: Recipe[ClassModel], metrics: Sequence[Metric]) -> None:
    """Refuse to look for reward hacking where nothing can show it.

    Raises:
        BadInput: no scorer chooses, or none was held out.
    """
    if not recipe.scorers:
        raise BadInput(f"--stop-on {WORD} is for runs that choose by scorers; here none chooses, so none can be pleased. Leave it out.")
    if not any(isinstance(metric, RankCorrelation) for metric in metrics):
        raise BadInput(f"--stop-on {WORD} looks at a scorer that chose nothing, and there is none: name one with --held-out.")


def prepared(arguments: Sequence[str]) -> tuple[Parsed, Recipe[ClassModel], Splits]:
    """Return what the arguments say, with what they leave to the data or a pipeline settled; the recipe; the data."""
    given = parse(arguments[0], arguments[1:])
    kwargs, of = sided(given.kwargs, given.real_images)
    kwargs = {key: value.settled() if isinstance(value, FirstRound) else value for key, value in kwargs.items()}
    data = registry.with_given(kwargs, of)
    settled = replace(given, kwargs=counted(kwargs, data), real_images=of)
    return settled, registry.function_of(given.recipe)(**settled.kwargs), data


def roll_back(source: Path, path: Path) -> None:
    """Fork the run in ``source`` at its best generation into ``path``, unless that was done before."""
    if (path / FORK).exists():
        return
    opened = registry.open_run(one_run(source))
    best = judge(opened.chain, opened.data, progress=bars).best
    fork(opened.chain.path, path, best)
    print(f"{path} goes on from generation {best} of {opened.chain.path}, its best.", file=sys.stderr)


def stopped(path: Path, said: Verdict, json: bool) -> None:
    """Say that the verdict ended the run, and where to go back to."""
    if json:
        return print_json({"stopped": said.to_json()})
    print_verdict(str(path), said)
    print(f"\nStopped: {said.word}. The best generation is {said.best}: germline best {quote(str(path))} --out DIR")
    _go_on(path)


def hacked(path: Path, found: Fallen, json: bool) -> None:
    """Say that a held-out scorer's fall ended the run, and where to go back to."""
    if json:
        return print_json({"stopped": found.to_json()})
    print(f"\nStopped: {WORD}. {found.text()} {found.scorer} is highest in generation {found.best}.")
    print(f"Take that one: germline fork {quote(str(path))} --generation {found.best} --out NEW.")
    _go_on(path)


def _go_on(path: Path) -> None:
    print(f"Go on from it with another recipe: germline run RECIPE --rollback {quote(str(path))} --out NEW.")
    print("Run again without --stop-on to go on here.")


def dry_run(given: Parsed, recipe: Recipe[ClassModel], data: Splits) -> None:
    """Print what a run would do and cost."""
    names: Json = {"kwargs": plain(given.kwargs)}
    recipe.enough(given.run.generations, data)
    parts, cost = digest.describe(recipe), estimate(recipe, data, given.run.generations)
    if given.run.json:
        guidance = effective(parts, names)
        return print_json({"parts": parts, "guidance": guidance and guidance.to_json(), "cost": plain(cost) if cost else None})
    print_parts(f"{given.recipe} on {data.name}, {len(data.real):,} real rows of {'x'.join(map(str, data.image_shape))}", parts, names)
    print(cost.text(given.run.generations) if cost else "This recipe's trainer states no budget in images, so there is no estimate.")
