"""The loop."""

from collections.abc import Sequence

from germline import registry
from germline.core import digest
from germline.core.digest import Json
from germline.core.progress import bars
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.diffusion.model import ClassModel
from germline.estimate import estimate
from germline.flags import Parsed, parse, run_usage
from germline.loop import Loop
from germline.measure import measure as measure_generation
from germline.registry import plain
from germline.report.terminal import one_line, print_parts
from germline.verbs.arguments import FOLDER, print_json


def run(arguments: Sequence[str]) -> None:
    """Run a recipe generation after generation, resume it, measure every generation."""
    if not arguments or arguments[0] in ("-h", "--help"):
        return print(run_usage())
    given = parse(arguments[0], arguments[1:])
    flags, recipe, data = given.run, registry.function_of(given.recipe)(**given.kwargs), given.real_images.load()
    if flags.dry_run:
        return dry_run(given, recipe, data)
    path = flags.out or FOLDER / given.recipe
    names: dict[str, Json] = {"recipe": given.recipe, "kwargs": plain(given.kwargs), "data": plain(given.real_images)}
    loop = Loop.at(path, recipe, data, seed=flags.seed, names=names, progress=bars, accept_drift=flags.accept_drift)
    for generation in loop.run(flags.generations):
        values = measure_generation(generation, data, registry.standard_metrics(), progress=bars)
        if flags.json:
            print_json({"generation": generation.number, "values": [value.to_json() for value in values]})
        else:
            print(one_line(generation.number, values), flush=True)
    if not flags.json:
        print(f"\n{path} is finished. Look at it: germline report {path}")


def dry_run(given: Parsed, recipe: Recipe[ClassModel], data: Splits) -> None:
    """Print what a run would do and cost."""
    parts, cost = digest.describe(recipe), estimate(recipe, data, given.run.generations)
    if given.run.json:
        return print_json({"parts": parts, "cost": plain(cost) if cost else None})
    print_parts(f"{given.recipe} on {data.name}, {len(data.real):,} real rows of {'x'.join(map(str, data.image_shape))}", parts)
    print(cost.text(given.run.generations) if cost else "This recipe's trainer states no budget in images, so there is no estimate.")
