"""What a prompt tells a network, by diffusers' own code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from germline.core.extras import imported
from germline.pipelines.device import best, on
from germline.pipelines.opened import KINDS, WHO, Kind, Opened, t5

NULL = ""  # the empty prompt: what condition drop trains on, and what guidance sets against a prompt
ADDED = ("text_embeds", "time_ids")  # what XL is told beside the prompt
BATCH = 16


def told(opened: Opened, prompts: Sequence[str], size: int | None = None) -> dict[str, Tensor]:
    """Return one row a prompt of everything the network is told, by its own names, float32 on the CPU.

    ``encoder_hidden_states``; of XL also ``text_embeds`` and ``time_ids`` (the image has ``size`` pixels a side, the pipeline's own when
    not given, and nothing was cropped); of Stable Diffusion 3 ``pooled_projections``, and zeros where T5's words would be if it has none.
    ``NULL`` is all zeros where XL was trained so, and is then the same for condition drop and guidance.
    """
    return Speaker(opened, size)(prompts)


class Speaker:
    """``told`` for who asks often: diffusers' own code is put together once, T5 stays open, and the empty prompt is encoded once."""

    def __init__(self, opened: Opened, size: int | None = None) -> None:
        self._kind, self._side = opened.kind, float(opened.size if size is None else size)
        third = opened.folder if opened.third else None
        self._words = Words(opened.kind, opened.network, opened.tokenizers, opened.text_encoders, opened.zeros, third)

    def __call__(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Return one row a prompt."""
        distinct = sorted({*prompts})  # the empty one first
        rows = self._words(distinct)
        number = {prompt: place for place, prompt in enumerate(distinct)}
        order = torch.tensor([number[prompt] for prompt in prompts])
        out = {name: values[order] for name, values in rows.items()}
        if self._kind == "sdxl":
            out["time_ids"] = torch.tensor([self._side, self._side, 0, 0, self._side, self._side]).repeat(len(prompts), 1)
        return out

    def encoders(self) -> Sequence[nn.Module]:
        """Return what encodes: a caller may keep them on the device over many calls."""
        return self._words.encoders()


class Words:
    """What distinct prompts say, without the size of an image.

    The empty prompt is encoded by itself, once: to the bit the same, whatever prompts are beside it. T5, where ``third`` is the folder
    that has it, is opened by the first call: in float32 on the CPU (19 GB of the real one's 4.8 billion weights), and on a card in bf16,
    which it was trained in.
    """

    def __init__(
        self,
        kind: Kind,
        network: nn.Module,
        tokenizers: Sequence[object],
        encoders: Sequence[nn.Module],
        zeros: bool,
        third: Path | None = None,
    ) -> None:
        self._kind, self._network, self._zeros, self._third = kind, network, zeros, third
        self._tokenizers, self._encoders = [*tokenizers], [*encoders]
        self._pipeline: object = None
        self._empty: dict[str, Tensor] | None = None

    def __call__(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Return one row a prompt; the empty prompt, if any, must come first."""
        encoders = self.encoders()
        rest = [prompt for prompt in prompts if prompt != NULL]
        with torch.inference_mode(), on(best(), *encoders):
            parts = [_encoded(self._pipeline, self._kind, rest[start : start + BATCH]) for start in range(0, len(rest), BATCH)]
            if NULL in prompts:
                if self._empty is None:
                    self._empty = _encoded(self._pipeline, self._kind, [NULL])
                parts = [self._empty, *parts]
        rows = {name: torch.cat([part[name] for part in parts]).clone() for name in parts[0]}
        if self._zeros and NULL in prompts:
            for values in rows.values():
                values[0] = 0
        return rows

    def encoders(self) -> Sequence[nn.Module]:
        """Return CLIP's and, where there is one, T5, opened now at the latest."""
        if self._pipeline is None:
            self._open()
        return self._encoders

    def _open(self) -> None:
        if self._third is not None:
            tokenizer, encoder = t5(WHO, self._third, torch.bfloat16 if best().type == "cuda" else torch.float32)
            self._tokenizers.append(tokenizer)
            self._encoders.append(encoder)
        self._pipeline = _pipeline(self._kind, self._network, self._tokenizers, self._encoders)


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
        parts = {"transformer": network, "text_encoder_3": None, "tokenizer_3": None, **parts}
    return getattr(imported(WHO, "diffusers", "t2i"), name)(**parts)
