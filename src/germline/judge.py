"""The verdict on a run, in the standard spaces: two classifiers of the judge split, or one that knows no classes."""

from __future__ import annotations

from collections.abc import Sequence

from germline import standard
from germline.chain import Chain
from germline.core.errors import BadInput
from germline.core.generation import Generation
from germline.core.progress import Progress, silent
from germline.core.splits import Splits
from germline.core.verdict import Verdict
from germline.features import Classifier
from germline.readings import Step
from germline.verdict import verdict


def judge(chain: Chain, data: Splits, *, generations: int | None = None, progress: Progress = silent) -> Verdict:
    """Return the verdict on the first ``generations`` of a chain, on all of them when not given.

    Distances are measured in the features of one classifier; another one, fitted from another seed, tells classes. Where there are
    prompts, or one class, distances are measured in the space of ``standard.space``, and nothing tells what is agreed on.

    Raises:
        BadInput: fewer than two generations.
    """
    done = chain.generations()[:generations]
    if len(done) < 2:
        raise BadInput(f"{chain.path} has {len(done)} generations; a verdict needs at least two, and is sure of little before four.")
    ctx = chain.context(done[-1].number, data, progress)
    classifier = Classifier(seed=1) if standard.has_classes(data) else None
    return verdict(steps_of(done, data), ctx, standard.space(data), classifier)


def steps_of(generations: Sequence[Generation], data: Splits) -> list[Step]:
    """Return what the judge may see of generations: samples and, where it is known of all of them, what they were trained on."""
    known = all(g.training_known for g in generations)  # else one measure would be of two things
    return [Step(g.samples, g.training(data) if known else None) for g in generations]
