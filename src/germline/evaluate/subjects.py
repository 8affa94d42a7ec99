"""The models that are asked: every round of a run, or pretrained pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from germline.chain import Chain
from germline.core import digest
from germline.core.context import Execution
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.generation import MODEL
from germline.core.protocols import Scorer
from germline.core.splits import Splits
from germline.diffusion.precision import resolve
from germline.evaluate.drawing import Subject
from germline.pipelines.opened import open_pipeline
from germline.pipelines.schedulers import Name
from germline.pipelines.tuned import Tuned
from germline.samplers import Rounds, SamplePipeline

BESIDE = ("name", "precision", "template", "activation", "url", "timeout")  # fields that make no other judge
LAST = -1  # of a run's rounds


@dataclass(frozen=True)
class Changes:
    """How images are drawn, where it is to be otherwise than the run did, or than a pipeline's default; None leaves a field as it is."""

    steps: int | None = None
    scheduler: Name | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    size: int | None = None
    batch: int | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] | None = None

    def of(self, sampler: SamplePipeline) -> SamplePipeline:
        """Return the sampler with them."""
        changed = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(sampler, **changed)


def of_run(
    name: str,
    chain: Chain,
    data: Splits,
    sampler: object,
    chosen_by: Sequence[Scorer],
    rounds: Sequence[int],
    changes: Changes,
    scorers: Sequence[Scorer],
) -> list[Subject]:
    """Return the rounds of a run, round 0 first: the others are compared with it.

    Args:
        name: the run's.
        chain: its generations.
        data: of the run, which settles the size of the images.
        sampler: the recipe's.
        chosen_by: the recipe's scorers.
        rounds: those wanted beside round 0, ``LAST`` for its last one; all that are finished when empty.
        changes: to how the run drew its samples.
        scorers: those that will judge.

    Raises:
        BadInput: no pipeline made the run's samples, or there is no such round.
    """
    if isinstance(sampler, Rounds):  # which only says what prompts the training rows had
        sampler = sampler.sampler
    if not isinstance(sampler, SamplePipeline):
        raise BadInput(
            f"{chain.path}: its samples are made by {type(sampler).__name__}, which takes no prompts of others; evaluate asks text-to-image"
            " pipelines. Runs with classes are measured by germline measure."
        )
    if not len(chain):
        raise BadInput(f"{chain.path} has no finished generation: run it first.")
    rounds = [len(chain) - 1 if number == LAST else number for number in rounds]
    if beyond := [number for number in rounds if number >= len(chain)]:
        raise BadInput(f"{chain.path} has generations 0 to {len(chain) - 1}, and no {beyond[0]}.")
    drawn = changes.of(replace(sampler, size=sampler.size or data.image_shape[0]))
    selecting = selectors_among(scorers, chosen_by)
    first = f"{name}-000"
    return [
        Subject(
            arm=name,
            round=generation.number,
            digest=generation.file_digest(MODEL),
            sampler=drawn,
            model=lambda number=generation.number: _model(chain, number),  # type: ignore[misc]
            side=drawn.size or data.image_shape[0],
            execution=chain.execution,
            against=first if generation.number else None,
            selecting=selecting,
        )
        for generation in chain.generations()
        if not rounds or generation.number in (0, *rounds)
    ]


def of_pipeline(name: str, source: Path | str, changes: Changes, against: str | None) -> Subject:
    """Return a pretrained pipeline, a folder or a name on the hub; ``against`` is the subject that it is compared with.

    Raises:
        MissingExtra: diffusers or transformers is not installed.
        BadInput: there is no such pipeline.
    """
    opened = open_pipeline(source)
    sampler = changes.of(SamplePipeline(1))
    side = sampler.size or opened.size
    execution = Execution(precision=resolve("auto"))
    return Subject(name, 0, opened.digest, sampler, lambda: Tuned(open_pipeline(source)), side, execution, against)


def selectors_among(scorers: Sequence[Scorer], chosen_by: Sequence[Scorer]) -> tuple[str, ...]:
    """Return the names of the scorers that also chose rows: the same part with the same weights. They no longer judge as others do."""
    known = [_judge(scorer) for scorer in chosen_by]
    return tuple(scorer.name for scorer in scorers if _judge(scorer) in known)


def _judge(scorer: Scorer) -> Json:
    fields = digest.describe(scorer)
    assert isinstance(fields, dict)
    return {name: value for name, value in fields.items() if name not in BESIDE}


def _model(chain: Chain, number: int) -> Tuned:
    """Return a generation's model; it is opened anew, so that the models of all rounds are not in memory at once."""
    found = chain[number].model
    assert isinstance(found, Tuned)
    return found
