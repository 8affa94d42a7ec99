"""The verbs of the command line. Each is a function; its arguments are its flags, its docstring their help."""

import json as json_library
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import tyro

from germline import registry
from germline.chain import Chain
from germline.chain import fork as fork_chain
from germline.core import digest
from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError
from germline.core.progress import bars
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.data.export import export as export_pool
from germline.diffusion.model import ClassModel
from germline.estimate import estimate
from germline.flags import Parsed, parse, run_usage
from germline.loop import Loop
from germline.measure import measure as measure_generation
from germline.measure import measured
from germline.registry import DataFlags, first_line, plain
from germline.report.page import write_page
from germline.report.terminal import one_line, print_listing, print_measurements, print_parts
from germline.study import Arm, run_arms

Name = tyro.conf.Positional[str]
Paths = tyro.conf.Positional[tuple[Path, ...]]
FOLDER = Path("runs")


def ls(json: bool = False) -> None:
    """List recipes, data sets, studies, metrics, and the runs in ./runs.

    Args:
        json: print JSON.
    """
    listing = {
        "recipes": {name: first_line(registry.function_of(name)) for name in registry.recipe_names()},
        "data": {name: first_line(load) for name, load in registry.NAMED.items()},
        "studies": {name: first_line(study) for name, study in registry.study_names().items()},
        "metrics": {type(metric).__name__: first_line(type(metric)) for metric in registry.standard_metrics()},
        "runs": {str(path): f"{len(Chain(path))} generations" for path in registry.runs_under(FOLDER)},
    }
    print_json(listing) if json else print_listing(listing)


def show(name: Name, json: bool = False) -> None:
    """Show a recipe's parts and presets, or a run's numbers.

    Args:
        name: a recipe, or a run folder (also its name in ./runs).
        json: print JSON.
    """
    if name in registry.recipe_names():
        for preset in registry.presets(name):
            parts = digest.describe(registry.function_of(name)(**registry.defaults(name, preset)))
            print_json({"preset": preset, "parts": parts}) if json else print_parts(f"{name}, preset {preset}", parts)
        return
    for path in run_folders([Path(name)]):
        rows = [(generation.number, measured(generation)) for generation in Chain(path).generations()]
        if json:
            print_json({"run": str(path), "generations": [[value.to_json() for value in values] for _, values in rows]})
        else:
            print_measurements(str(path), rows)


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


def study(
    name: Name,
    out: Path | None = None,
    generations: int = 5,
    seeds: int = 1,
    processes: int | None = None,
    real_images: tyro.conf.OmitArgPrefixes[DataFlags] = DataFlags(),  # noqa: B008
) -> None:
    """Run all arms of a study side by side, with one generation 0 a seed.

    Examples:
      germline study demo --out runs/demo

    Args:
        name: the study (see: germline ls).
        out: folder of the study; runs/NAME when not given.
        generations: generations after generation 0.
        seeds: number of seeds, each with its own generation 0. Under 3, no interval and no ordering means anything.
        processes: arms at once; as many as there are cores when not given.
        real_images: which real images.
    """
    arms_of = registry.find(name, registry.study_names(), "study")
    folder = out or FOLDER / name
    kept: dict[str, Json] = {"study": name, "data": plain(real_images)}
    arms = [
        Arm(folder / (arm if seeds == 1 else f"{arm}-seed{seed}"), recipe, seed, {**kept, "arm": arm})
        for seed in range(seeds)
        for arm, recipe in arms_of()
    ]
    failed = run_arms(arms, real_images.load, registry.standard_metrics(), generations, processes)
    if failed:
        raise GermlineError(
            "\n".join(f"{arm} failed: {error}" for arm, error in failed.items()) + "\nThe others are finished; run again to go on."
        )
    print(f"{folder}: {len(arms)} arms finished. Look at them: germline report {folder}")


def measure(runs: Paths, again: bool = False, json: bool = False) -> None:
    """Measure the finished generations of runs; what was measured before is read back.

    Args:
        runs: run folders, or folders that hold some.
        again: measure everything anew.
        json: print JSON.
    """
    for path in run_folders(runs):
        opened = registry.open_run(path)
        rows = [
            (generation.number, measure_generation(generation, opened.data, registry.standard_metrics(), progress=bars, again=again))
            for generation in opened.chain.generations()
        ]
        if json:
            print_json({"run": str(path), "generations": [[value.to_json() for value in values] for _, values in rows]})
        else:
            print_measurements(str(path), rows)


def report(runs: Paths, out: Path = Path("report.html"), json: bool = False) -> None:
    """Write one static HTML page about runs: curves, same-seed grids, nearest training images, what T_g is made of.

    Examples:
      germline report runs/demo --out demo.html

    Args:
        runs: run folders, or folders that hold some.
        out: the page.
        json: print JSON.
    """
    opened = [registry.open_run(path) for path in run_folders(runs)]
    write_page([(run.name, run.chain, run.data) for run in opened], out, progress=bars)
    print_json({"page": str(out), "runs": [run.name for run in opened]}) if json else print(f"{out}: open it in a browser.")


def check(runs: Paths, json: bool = False) -> None:
    """Walk every hash of runs and name the first broken file.

    Args:
        runs: run folders, or folders that hold some.
        json: print JSON.
    """
    for path in run_folders(runs):
        files = Chain(path).check()
        if json:
            print_json({"run": str(path), "whole": [str(file) for file in files]})
        else:
            print(f"{path}: {len(files)} files are as they were written.")


def fork(run: Name, generation: int, out: Path) -> None:
    """Start a new run from the first generations of another; the next ``run --out`` there goes on with its own recipe.

    Args:
        run: the run to start from.
        generation: the last generation to take over.
        out: the new run folder.
    """
    fork_chain(run_folders([Path(run)])[0], out, generation)
    print(f"{out} holds generations 0 to {generation}. Go on: germline run RECIPE --out {out}")


def export(
    run: Name,
    out: Path,
    generation: int | None = None,
    what: Literal["samples", "training"] = "samples",
    format: Literal["imagefolder", "parquet", "webdataset"] = "imagefolder",
) -> None:
    """Write a generation's samples, or the rows it was trained on, in a format that other tools open.

    Args:
        run: the run folder.
        out: the new folder.
        generation: which; the last one when not given.
        what: S_g or T_g.
        format: class folders with metadata.jsonl, Parquet for the datasets library, or WebDataset tars.
    """
    opened = registry.open_run(run_folders([Path(run)])[0])
    chosen = opened.chain[len(opened.chain) - 1 if generation is None else generation]
    pool = chosen.samples if what == "samples" else chosen.training(opened.data)
    export_pool(pool, opened.data.classes, out, format, progress=bars)
    print(f"{out}: {len(pool):,} images.")


VERBS: dict[str, Callable[..., None]] = {verb.__name__: verb for verb in (ls, show, run, study, measure, report, check, fork, export)}


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the run folders that the user means: a run, a folder of runs, or a name in ./runs.

    Raises:
        BadInput: there is none.
    """
    if not paths:
        raise BadInput(f"Name a run folder. {registry.did_you_mean('', [str(path) for path in registry.runs_under(FOLDER)])}")
    found = []
    for path in paths:
        here = registry.runs_under(path) or registry.runs_under(FOLDER / path)
        if not here:
            known = [*registry.recipe_names(), *(str(run) for run in registry.runs_under(FOLDER))]
            raise BadInput(f"{path} is neither a recipe nor a run folder. {registry.did_you_mean(str(path), known)}")
        found += here
    return found


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    print(json_library.dumps(value), flush=True)


def usage() -> str:
    """Return the help of the whole command, examples first."""
    examples = (
        "germline run replace",
        "germline show replace",
        "germline report runs/replace --out replace.html",
        "germline run entropy --dry-run",
    )
    verbs = "\n".join(f"  {name:10}{first_line(verb)}" for name, verb in VERBS.items())
    return "usage: germline VERB ...\n\nExamples:\n  " + "\n  ".join(examples) + f"\n\nVerbs (germline VERB --help says more):\n{verbs}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0, 1 for an error with a remedy, 130 when interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}", file=sys.stderr)
    try:
        verb = registry.find(arguments[0], VERBS, "verb")
        if verb is run:
            run(arguments[1:])
        else:
            tyro.cli(verb, prog=f"germline {arguments[0]}", args=arguments[1:])
    except GermlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing is lost: run the same command to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
