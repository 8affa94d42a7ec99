"""What a prompt tells a network, by diffusers' own code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from germline.pipelines.device import best, on
from germline.pipelines.files import imported
from germline.pipelines.opened import KINDS, WHO, Kind, Opened

NULL = ""  # the empty prompt: what condition drop trains on, and what guidance sets against a prompt
ADDED = ("text_embeds", "time_ids")  # what XL is told beside the prompt
BATCH = 16


def told(opened: Opened, prompts: Sequence[str], size: int | None = None) -> dict[str, Tensor]:
    """Return one row a prompt of everything the network is told, by its own names, float32 on the CPU.

    ``encoder_hidden_states``; of XL also ``text_embeds`` and ``time_ids`` (the image has ``size`` pixels a side, the pipeline's own when
    not given, and nothing was cropped); of Stable Diffusion 3 ``pooled_projections``, and zeros where T5's words would be. ``NULL`` is
    all zeros where XL was trained so, and is then the same for condition drop and guidance.
    """
    distinct = sorted({*prompts})  # the empty one first
    rows = words(opened.kind, opened.network, opened.tokenizers, opened.text_encoders, opened.zeros, distinct)
    number = {prompt: place for place, prompt in enumerate(distinct)}
    order = torch.tensor([number[prompt] for prompt in prompts])
    out = {name: values[order] for name, values in rows.items()}
    if opened.kind == "sdxl":
        side = float(opened.size if size is None else size)
        out["time_ids"] = torch.tensor([side, side, 0, 0, side, side]).repeat(len(prompts), 1)
    return out


def words(
    kind: Kind, network: nn.Module, tokenizers: Sequence[object], encoders: Sequence[nn.Module], zeros: bool, prompts: Sequence[str]
) -> dict[str, Tensor]:
    """Return what distinct prompts say, one row each, without the size of an image; the empty prompt, if any, must come first.

    It is encoded by itself: to the bit the same, whatever prompts are beside it.
    """
    empty = [NULL] if NULL in prompts else []
    rest = [prompt for prompt in prompts if prompt != NULL]
    batches = [rest[start : start + BATCH] for start in range(0, len(rest), BATCH)]
    pipeline = _pipeline(kind, network, tokenizers, encoders)
    with torch.inference_mode(), on(best(), *encoders):
        parts = [_encoded(pipeline, kind, batch) for batch in ([empty] if empty else []) + batches]
    rows = {name: torch.cat([part[name] for part in parts]).clone() for name in parts[0]}
    if zeros and empty:
        for values in rows.values():
            values[0] = 0
    return rows


def arguments(rows: dict[str, Tensor]) -> dict[str, Tensor | dict[str, Tensor]]:
    """Return what is told as a network's keyword arguments: XL takes some of it in a dictionary of its own."""
    added = {name: rows[name] for name in ADDED if name in rows}
    plain: dict[str, Tensor | dict[str, Tensor]] = {name: values for name, values in rows.items() if name not in ADDED}
    return {**plain, "added_cond_kwargs": added} if added else plain


def _encoded(pipeline: object, kind: Kind, prompts: list[str]) -> dict[str, Tensor]:
    others: dict[str, None] = {"prompt_2": None, "prompt_3": None} if kind == "sd3" else {}
    sequence, _, *pooled = pipeline.encode_prompt(  # type: ignore[attr-defined]
        prompts, device=best(), num_images_per_prompt=1, do_classifier_free_guidance=False, **others
    )
    name = "text_embeds" if kind == "sdxl" else "pooled_projections"
    return {"encoder_hidden_states": sequence.float().cpu(), **({name: pooled[0].float().cpu()} if pooled else {})}


def _pipeline(kind: Kind, network: nn.Module, tokenizers: Sequence[object], encoders: Sequence[nn.Module]) -> object:
    """Return the library's pipeline with all that ``encode_prompt`` uses."""
    (name,) = (name for name, known in KINDS.items() if known == kind)
    parts: dict[str, object] = {"vae": None, "scheduler": None}
    for number, (tokenizer, encoder) in enumerate(zip(tokenizers, encoders, strict=True)):
        after = f"_{number + 1}" if number else ""
        parts |= {f"tokenizer{after}": tokenizer, f"text_encoder{after}": encoder}
    if kind == "sd1":
        parts |= {"unet": network, "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    elif kind == "sdxl":
        parts |= {"unet": network, "add_watermarker": False}
    else:
        parts |= {"transformer": network, "text_encoder_3": None, "tokenizer_3": None}
    return getattr(imported(WHO, "diffusers"), name)(**parts)
