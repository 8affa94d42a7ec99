"""What a prompt tells a network, by diffusers' own code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from germline.pipelines.device import best, on
from germline.pipelines.files import imported
from germline.pipelines.opened import KINDS, WHO, Opened

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
    with torch.inference_mode(), on(best(), *opened.text_encoders):
        parts = list(_encoded(opened, distinct))
    rows = {name: torch.cat([part[name] for part in parts]).clone() for name in parts[0]}
    if opened.zeros and NULL in distinct:
        for values in rows.values():
            values[0] = 0
    number = {prompt: place for place, prompt in enumerate(distinct)}
    order = torch.tensor([number[prompt] for prompt in prompts])
    out = {name: values[order] for name, values in rows.items()}
    if opened.kind == "sdxl":
        side = float(opened.size if size is None else size)
        out["time_ids"] = torch.tensor([side, side, 0, 0, side, side]).repeat(len(prompts), 1)
    return out


def arguments(rows: dict[str, Tensor]) -> dict[str, Tensor | dict[str, Tensor]]:
    """Return what is told as a network's keyword arguments: XL takes some of it in a dictionary of its own."""
    added = {name: rows[name] for name in ADDED if name in rows}
    plain: dict[str, Tensor | dict[str, Tensor]] = {name: values for name, values in rows.items() if name not in ADDED}
    return {**plain, "added_cond_kwargs": added} if added else plain


def _encoded(opened: Opened, prompts: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yield the rows of prompts in order, if the empty one comes first."""
    pipeline = _pipeline(opened)
    others: dict[str, None] = {"prompt_2": None, "prompt_3": None} if opened.kind == "sd3" else {}
    # The empty prompt by itself: to the bit the same, whatever prompts are beside it.
    rest = [prompt for prompt in prompts if prompt != NULL]
    batches = [rest[start : start + BATCH] for start in range(0, len(rest), BATCH)]
    for batch in ([[NULL]] if NULL in prompts else []) + batches:
        sequence, _, *pooled = pipeline.encode_prompt(  # type: ignore[attr-defined]
            batch, device=best(), num_images_per_prompt=1, do_classifier_free_guidance=False, **others
        )
        name = "text_embeds" if opened.kind == "sdxl" else "pooled_projections"
        yield {"encoder_hidden_states": sequence.float().cpu(), **({name: pooled[0].float().cpu()} if pooled else {})}


def _pipeline(opened: Opened) -> object:
    """Return the library's pipeline with all that ``encode_prompt`` uses."""
    (name,) = (name for name, kind in KINDS.items() if kind == opened.kind)
    parts: dict[str, object] = {"vae": None, "scheduler": None}
    for number, (tokenizer, encoder) in enumerate(zip(opened.tokenizers, opened.text_encoders, strict=True)):
        after = f"_{number + 1}" if number else ""
        parts |= {f"tokenizer{after}": tokenizer, f"text_encoder{after}": encoder}
    if opened.kind == "sd1":
        parts |= {"unet": opened.network, "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    elif opened.kind == "sdxl":
        parts |= {"unet": opened.network, "add_watermarker": False}
    else:
        parts |= {"transformer": opened.network, "text_encoder_3": None, "tokenizer_3": None}
    return getattr(imported(WHO, "diffusers"), name)(**parts)
