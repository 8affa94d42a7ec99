"""Names to scores of pools: those of images and captions, and those that need features, written NAME:EXTRACTOR."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from germline.core.errors import BadInput
from germline.core.protocols import Scorer
from germline.features.named import extractor
from germline.pools.density import Density
from germline.scorers import Confidence, Support
from germline.scorers.named import scorer

Fields = Mapping[str, str]


def _number(fields: Fields, name: str, kind: type[int] | type[float], default: float | None) -> float | None:
    try:
        return kind(fields[name]) if name in fields else default
    except ValueError as error:
        raise BadInput(f"--by: {name} takes a number, but got {fields[name]!r}.") from error


def _density(space: str, fields: Fields) -> Density:
    return Density(extractor(space) if space else None)


def _support(space: str, fields: Fields) -> Support:
    return Support(extractor(space), int(_number(fields, "k", int, 5) or 0), _number(fields, "null", float, 0.05) or 0.0)


def _confidence(space: str, fields: Fields) -> Confidence:
    clusters = _number(fields, "clusters", int, None)
    return Confidence((extractor(space),), clusters=None if clusters is None else int(clusters))


IN_FEATURES: Mapping[str, tuple[Callable[[str, Fields], Density | Scorer], tuple[str, ...]]] = {
    "density": (_density, ()),
    "support": (_support, ("k", "null")),
    "confidence": (_confidence, ("clusters",)),
}


def score_of(name: str) -> Density | Scorer:
    """Return what a name scores by: density[:EXTRACTOR], support:EXTRACTOR, confidence:EXTRACTOR, or a scorer of images and captions.

    Fields follow after commas: support:efficientnet,null=0.01, or confidence:pixels,clusters=20.

    Raises:
        BadInput: there is no such name, extractor or field.
    """
    first, *rest = re.split(r",(?=\w+=)", name)
    kind, _, space = first.partition(":")
    if kind not in IN_FEATURES:
        return scorer(name)
    make, known = IN_FEATURES[kind]
    fields = dict(part.split("=", 1) for part in rest)
    if odd := sorted(set(fields) - set(known)):
        raise BadInput(f"--by {kind} has no field {odd[0]}; it has {', '.join(known) or 'none'}.")
    if not space and kind != "density":
        raise BadInput(f"--by {kind} measures in features; name them: {kind}:efficientnet, or {kind}:pixels.")
    return make(space, fields)
