"""The libraries of the extra ``rewards``, and models that are opened with all their tensors or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from germline.core import digest, foreign
from germline.core.errors import BadInput, reason
from germline.core.extras import imported
from germline.pipelines.files import quiet

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
S = TypeVar("S")
T = TypeVar("T")


def only(make: Callable[[S], T], scorer: S) -> T:
    """Return ``make(scorer)``, the same object as long as no other is asked for and its files stay: one network in memory at a time."""
    return cast(T, _only(make, scorer, digest.of_part(scorer)))


def from_folder(who: str, kind: str, folder: Path, precision: str) -> nn.Module:
    """Return the model of class ``kind`` that save_pretrained wrote to a folder, frozen; safetensors only, no code of the folder runs.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: there is no such folder, it holds another model, or its tensors are not exactly the model's.
    """
    foreign.present(folder, who)
    library = imported(who, "transformers", "rewards")
    from safetensors import SafetensorError

    try:
        with quiet(library):
            model, report = getattr(library, kind).from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"{who}: the {kind} in {folder} cannot be opened: {reason(error)} Only safetensors are.") from error
    return _whole(who, folder, model, report, precision)


def from_tensors(
    who: str, kind: str, config: object, tensors: Mapping[str, Tensor], where: Path, precision: str, fields: Mapping[str, bool]
) -> nn.Module:
    """Return a model of class ``kind`` with exactly these tensors, frozen. ``fields`` are those of the class itself.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: they are not exactly the model's.
    """
    library = imported(who, "transformers", "rewards")
    try:
        with quiet(library):
            model, report = getattr(library, kind).from_pretrained(
                None, config=config, state_dict=dict(tensors), dtype=torch.float32, output_loading_info=True, **fields
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadInput(f"{who}: {where} holds other weights than a {kind}'s: {reason(error)}") from error
    return _whole(who, where, model, report, precision)


@lru_cache(maxsize=1)
def _only(make: Callable[[S], T], scorer: S, content: str) -> T:
    return make(scorer)


def _whole(who: str, where: Path, model: nn.Module, report: Mapping[str, object], precision: str) -> nn.Module:
    """Refuse a model of which something is missing, left over or of another shape: transformers would draw it at random, or drop it."""
    for key, what in (("missing_keys", "lacks"), ("unexpected_keys", "has besides"), ("mismatched_keys", "has in another shape")):
        found = sorted(str(name[0] if isinstance(name, tuple) else name) for name in report.get(key, ()) or ())  # type: ignore[attr-defined]
        found = [name for name in found if not name.endswith("position_ids")]  # numbers 0, 1, 2, ..., which old files hold
        if found:
            raise BadInput(
                f"{who}: {where} holds another model: it {what} {len(found)} of the tensors, first {found[0]};"
                " name the file of this scorer."
            )
    scale = getattr(model, "logit_scale", None)
    scale = scale.detach().float().clone() if isinstance(scale, nn.Parameter) else None
    frozen: nn.Module = model.eval().requires_grad_(False).to(TYPES[precision])
    if scale is not None:  # 100 is exp of a number that bf16 takes for that of 98.9
        frozen.logit_scale = nn.Parameter(scale, requires_grad=False)
    return frozen
