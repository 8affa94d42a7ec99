"""Names to scorers: the one grammar of them, for flags and files."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args, get_origin, get_type_hints

from germline.core.errors import BadInput
from germline.core.protocols import Scorer
from germline.scorers import blip, hub, open_clip
from germline.scorers.aesthetic import Aesthetic
from germline.scorers.clip_score import ClipScore
from germline.scorers.dual_encoder import DualEncoder
from germline.scorers.function import Function
from germline.scorers.hps import HPS
from germline.scorers.http import Http
from germline.scorers.image_reward import ImageReward
from germline.scorers.pick_score import PickScore
from germline.scorers.ratings import Ratings
from germline.scorers.realness import Realness
from germline.scorers.safety import Safety

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Made = Aesthetic | ClipScore | DualEncoder | HPS | Http | ImageReward | PickScore | Ratings | Realness | Safety


def _hps(release: Literal["v2", "v2.1"]) -> Callable[[str], HPS]:
    def made(where: str) -> HPS:
        weights = hub.file("HPS", where or "xswu/HPSv2", f"HPS_{release}_compressed.pt")
        return HPS(weights, _words(weights, where, hub.CLIP_H), release, sizes=open_clip.sizes_beside(weights))

    return made


def _pick_score(where: str) -> PickScore:
    weights = hub.folder("PickScore", where or "yuvalkirstain/PickScore_v1")
    return PickScore(weights, None if (weights / "tokenizer_config.json").exists() else _words(weights / "x", where, hub.CLIP_H))


def _image_reward(where: str) -> ImageReward:
    weights = hub.file("ImageReward", where or "THUDM/ImageReward", "ImageReward.pt")
    return ImageReward(weights, _words(weights, where, hub.BERT), sizes=blip.sizes_beside(weights))


def _realness(where: str) -> Realness:
    if where:
        raise BadInput(f"The realness scorer of emoji is shipped and takes no weights, but was given {where!r}; leave it out.")
    return Realness()


def _dual_encoder(held_out: bool) -> Callable[[str], DualEncoder]:
    def made(where: str) -> DualEncoder:
        if where:
            raise BadInput(f"The dual encoder of emoji is shipped and takes no weights, but was given {where!r}; leave it out.")
        return DualEncoder(held_out)

    return made


def _words(weights: Path, where: str, name: str) -> Path | None:
    """Return the folder of a tokenizer: beside the weights where they are given as a path, else on the hub."""
    return None if Path(where).expanduser().exists() and where else hub.folder("A tokenizer", name, weights=False)


KINDS: Mapping[str, Callable[[str], Made]] = {
    "aesthetic_v2": lambda where: Aesthetic(hub.folder("Aesthetic", where or hub.CLIP)),
    "clip": lambda where: ClipScore(hub.folder("ClipScore", where or hub.CLIP)),
    "dual_encoder": _dual_encoder(held_out=False),
    "dual_encoder_held_out": _dual_encoder(held_out=True),
    "hps_v2": _hps("v2"),
    "hps_v2.1": _hps("v2.1"),
    "imagereward": _image_reward,
    "pickscore": _pick_score,
    "ratings": lambda where: Ratings(Path(where).expanduser()),
    "realness": _realness,
    "safety": lambda where: Safety(Path(where).expanduser()),
}


def scorer(name: str) -> Scorer:
    """Return the scorer of a name: ``KIND`` (weights from the hub), ``KIND:WEIGHTS``, an address, or ``module:function``.

    Fields follow after commas. Such as "clip", "hps_v2.1:/weights/HPS_v2.1_compressed.pt,resize=legacy,precision=bf16",
    "pickscore:yuvalkirstain/PickScore_v1", "ratings:votes.csv,by=file", "http://127.0.0.1:8000/,name=hpsv3", "mine:brightness,name=bright".

    Raises:
        BadInput: there is no such name or field, or its weights are not there.
    """
    first, *rest = re.split(r",(?=\w+=)", name)
    fields = dict(part.split("=", 1) for part in rest)
    kind, colon, where = first.partition(":")
    made: Scorer
    if kind in ("http", "https"):
        made = Http(first)
    elif kind in KINDS:
        made = KINDS[kind](where)
    elif colon and where.isidentifier():
        made = _function(kind, where)
    else:
        near = difflib.get_close_matches(kind, KINDS, n=2, cutoff=0.5)
        known = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(KINDS)}, each also as NAME:WEIGHTS; http://...;"
        raise BadInput(f"There is no scorer {name!r}. {known} Your own is module:function.")
    return _with(made, fields)


def _function(module: str, attribute: str) -> Scorer:
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        near = difflib.get_close_matches(module, KINDS, n=2, cutoff=0.6)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        found_it = not isinstance(error, ModuleNotFoundError)
        do = "Name a function of that module." if found_it else "Your own is found from its folder, or with that folder on PYTHONPATH."
        raise BadInput(f"There is no scorer {module}:{attribute} ({error}). {meant}{do}") from error
    if dataclasses.is_dataclass(found) and not isinstance(found, type) and isinstance(found, Scorer):
        return found
    if not callable(found):
        raise BadInput(f"{module}:{attribute} must be a function of images and conditions, but is a {type(found).__name__}.")
    return Function(found, name=attribute)


def _with(made: Scorer, fields: Mapping[str, str]) -> Scorer:
    """Return the scorer with these fields, read as what they are."""
    if not fields:
        return made
    part, hints, who = cast("DataclassInstance", made), get_type_hints(type(made)), type(made).__name__
    simple = {field.name for field in dataclasses.fields(part) if field.init} - {"sizes", "function", "weights", "path", "url", "release"}
    if odd := sorted(set(fields) - simple):
        raise BadInput(f"{who} has no field {odd[0]}; it has {', '.join(sorted(simple))}.")
    return cast(Scorer, dataclasses.replace(part, **{key: _value(f"{who}: {key}", hints[key], text) for key, text in fields.items()}))


def _value(who: str, kind: object, text: str) -> Path | str | float | int | bool:
    kinds = get_args(kind) if get_origin(kind) is not Literal and get_args(kind) else (kind,)
    (one,) = (inner for inner in kinds if inner is not type(None))
    if get_origin(one) is Literal:
        if text not in get_args(one):
            raise BadInput(f"{who} is one of {', '.join(get_args(one))}, but got {text!r}.")
        return text
    try:
        return Path(text).expanduser() if one is Path else {int: int, float: float}.get(one, str)(text)
    except ValueError as error:
        raise BadInput(f"{who} takes a number, but got {text!r}.") from error
