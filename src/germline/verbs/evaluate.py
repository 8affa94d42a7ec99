"""Prompts put to every round of a run, or to pipelines, and scored in pairs."""

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import tyro

from germline import registry
from germline.core import sealed
from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.core.protocols import Scorer
from germline.evaluate.drawing import Subject, Task
from germline.evaluate.evaluation import EVALUATION, PAGE, Evaluation, Plan, plan
from germline.evaluate.evaluation import evaluate as evaluate_models
from germline.evaluate.layouts import Layout
from germline.evaluate.questions import questions
from germline.evaluate.subjects import LAST, Changes, of_pipeline, of_run
from germline.evaluate.tables import page, table
from germline.pipelines.opened import SHIPPED, place
from germline.pipelines.schedulers import Name
from germline.registry import Run
from germline.report.printed import print_table
from germline.scorers.named import scorer as scorer_of
from germline.scorers.published import there
from germline.verbs.arguments import FOLDER, numbers, print_json

Models = tyro.conf.Positional[tuple[str, ...]]
EMOJI, OF_EMOJI = SHIPPED["emoji"], ("dual_encoder", "dual_encoder_held_out")
NO_SCORERS = "the hub left no scorer's weights here; name scorers, such as --by clip pickscore hps_v2.1:WEIGHTS (docs/scorers.md)"


def evaluate(
    models: Models,
    prompts: tuple[str, ...] = ("parti",),
    images_a_prompt: int = 10,
    by: tuple[str, ...] = (),
    out: Path = Path("evaluation"),
    generations: tuple[str, ...] = (),
    category: str | None = None,
    column: str | None = None,
    most: int | None = None,
    layouts: tuple[Layout, ...] = (),
    seed: int = 0,
    steps: int | None = None,
    scheduler: Name | None = None,
    guidance_scale: float | None = None,
    negative_prompt: str | None = None,
    size: int | None = None,
    batch: int | None = None,
    precision: Literal["auto", "fp32", "bf16", "fp16"] | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Put prompts to every round of a run, or to pipelines; score the images, compare round by round in pairs.

    Examples:
      germline evaluate runs/rsidiff --by clip pickscore imagereward --out eval/
      germline evaluate runs/rsidiff --generations 0 6 8 --most 200 --by clip --out eval/ --dry-run
      germline evaluate base/ tuned/ --prompts hps_lists/ --images-a-prompt 1 --by hps_v2.1:HPS_v2.1_compressed.pt --layouts hps --out hps/
      germline evaluate runs/rsidiff --prompts evaluation_metadata.jsonl --images-a-prompt 4 --layouts geneval --out geneval/

    All models draw from equal noise. A round is compared with round 0 of its run, a pipeline with the first model named. The same command
    goes on after a kill; more scorers, generations and layouts are added to what is there. DIR/evaluation.html is the page.

    Args:
        models: run folders (or names in ./runs), folders of diffusers pipelines, or their names on the hub.
        prompts: files or folders of prompts, or parti: the 1,632 PartiPrompts, which are embedded.
        images_a_prompt: images of each prompt.
        by: scorers, apart or with commas between them: clip, pickscore, hps_v2.1:WEIGHTS, http://..., module:function (docs/scorers.md).
            When not given: of emoji, or the model that is shipped, dual_encoder and dual_encoder_held_out; else those whose weights the
            hub left here, which may be none.
        out: the folder that all of it lies in.
        generations: rounds of runs, beside round 0, or last; all when not given.
        category: the column that groups the prompts; Category, tag, style or Challenge when not given, else the file.
        column: of the prompts, where it has another name than usual.
        most: take so many prompts, evenly spread.
        layouts: also write the folders that benchmarks read: hps, geneval.
        seed: of the noise.
        steps: of the scheduler; what the run used, or 30, when not given. So for all that follow.
        scheduler: the model's own, or a method by name.
        guidance_scale: w, 1 is none; the run's own may be a schedule.
        negative_prompt: what guidance sets against the prompt.
        size: pixels a side.
        batch: images denoised at once.
        precision: of the network.
        dry_run: say which models, prompts and scorers, how many images, network evaluations, scores and bytes, and stop.
        json: print JSON.
    """
    if images_a_prompt < 1:
        raise BadInput(f"--images-a-prompt must be at least 1, but is {images_a_prompt}.")
    named = opened(models)
    scorers = [scorer_of(name) for name in names_of(by) or by_default(named)]
    changes = Changes(steps, scheduler, guidance_scale, negative_prompt, size, batch, precision)
    rounds = numbers(generations, "--generations", {"last": LAST})
    subjects = subjects_of(named, rounds, changes, scorers)
    task = Task(questions(prompts, column, category).spread(most), images_a_prompt, seed)
    if dry_run:
        said = plan(task, subjects, scorers, out)
        return print_json(asdict(said)) if json else print(text(said, prompts))
    if not scorers:
        print(f"Images are drawn, and not scored: {NO_SCORERS}.", file=sys.stderr)
    found = evaluate_models(task, subjects, scorers, out, layouts, prompts, bars)
    page(found, scorers, out / PAGE)
    if json:
        return print_json(sealed.read(out / EVALUATION))
    print_tables(found, scorers)
    print(f"{out / PAGE} shows them, by category too; every score is in {out / 'scores.parquet'}.")


def names_of(by: Sequence[str]) -> tuple[str, ...]:
    """Return the scorers' names, written apart or with commas; a comma before FIELD= belongs to the name."""
    return tuple(name for given in by for name in re.split(r",(?!\w+=)", given) if name)


def opened(models: Sequence[str]) -> list[tuple[str, list[Run]]]:
    """Return the runs that each name stands for; none where it is a pipeline's.

    Raises:
        BadInput: nothing is named.
    """
    if not models:
        raise BadInput("Name a run folder or a pipeline's folder: germline evaluate runs/NAME --by clip --out DIR")
    return [(model, [registry.open_run(folder) for folder in _runs(model)]) for model in models]


def by_default(named: Sequence[tuple[str, Sequence[Run]]]) -> tuple[str, ...]:
    """Return the scorers where none is named: of emoji the two that are shipped, else those whose weights the hub left here."""
    return OF_EMOJI if all(all(map(_of_emoji, runs)) if runs else place(model) == EMOJI for model, runs in named) else there()


def subjects_of(
    named: Sequence[tuple[str, Sequence[Run]]], rounds: Sequence[int], changes: Changes, scorers: Sequence[Scorer]
) -> list[Subject]:
    """Return what is asked, in the order named.

    Raises:
        BadInput: one is neither a run nor a pipeline, or a run has no model.
    """
    found: list[Subject] = []
    for model, runs in named:
        for run in runs:
            if run.recipe is None:
                raise BadInput(f"{run.chain.path} was adopted from folders: it has no model to ask. Export its images and score those.")
            of = (run.name, run.chain, run.data, run.recipe.sampler, run.recipe.scorers)
            found += of_run(*of, rounds, changes, scorers)
        if not runs:
            found.append(of_pipeline(Path(model).name, model, changes, found[0].name if found else None))
    return found


def text(said: Plan, prompts: Sequence[str]) -> str:
    """Return a plan in words."""
    scored = f"{', '.join(said.scorers)}: {said.scores:,} scores" if said.scorers else f"none, {NO_SCORERS}"
    return (
        f"Models: {len(said.models)}, {', '.join(said.models)}"
        f"\nPrompts: {said.prompts:,} of {', '.join(map(str, prompts))}"
        f"\nImages: {said.images:,} in all, {said.bytes / 1e6:,.0f} MB; {said.left:,} are to be drawn with {said.evaluations:,} network"
        " evaluations"
        f"\nScorers: {scored}"
        "\nImages a second here: germline doctor --model MODEL"
    )


def print_tables(found: Evaluation, scorers: Sequence[Scorer]) -> None:
    """Print a table a scorer."""
    for scorer in scorers:
        chose = ", ".join(dict.fromkeys(subject.arm for subject in found.subjects if scorer.name in subject.selecting))
        print_table(f"{scorer.name}" + (f" (chose rows of {chose})" if chose else ""), table(found, scorer.name))


def _runs(model: str) -> list[Path]:
    if (Path(model) / "model_index.json").exists():
        return []
    return registry.runs_under(Path(model)) or registry.runs_under(FOLDER / model)


def _of_emoji(run: Run) -> bool:
    return run.data.name == "emoji" or getattr(getattr(run.recipe, "founder", None), "base", None) == EMOJI
