"""CLIP networks in the layout of open_clip, brought to transformers' CLIPModel; nothing may be missing or left over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from germline.core import foreign
from germline.core.errors import BadInput
from germline.core.extras import imported
from germline.scorers.library import from_tensors

CONFIG = "open_clip_config.json"  # open_clip's own name for the sizes of a network, beside its weights
PLAIN = {
    "logit_scale": "logit_scale",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
}
NORMS = {
    "ln_final": "text_model.final_layer_norm",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
}
TURNED = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}
INNER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
LAYER = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


@dataclass(frozen=True)
class Sizes:
    """The sizes of a CLIP network of open_clip; the defaults are ViT-H/14's, 986 million weights."""

    embed: int = 1024
    image: int = 224
    patch: int = 14
    width: int = 1280
    layers: int = 32
    heads: int = 16
    context: int = 77
    vocabulary: int = 49408
    text_width: int = 1024
    text_layers: int = 24
    text_heads: int = 16


def sizes_beside(weights: Path) -> Sizes:
    """Return the sizes that an ``open_clip_config.json`` beside the weights tells; ViT-H/14's without one.

    Raises:
        BadInput: the file tells none.
    """
    file = weights.parent / CONFIG
    if not file.exists():
        return Sizes()
    try:
        told = json.loads(file.read_text())
        told = told.get("model_cfg", told)
        vision, text = told["vision_cfg"], told["text_cfg"]
        heads = vision["width"] // vision.get("head_width", 64)
        seen = (told["embed_dim"], vision["image_size"], vision["patch_size"], vision["width"], vision["layers"], heads)
        return Sizes(*seen, text["context_length"], text["vocab_size"], text["width"], text["layers"], text["heads"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{file} should tell the sizes of a CLIP network as open_clip does, but cannot be read: {error!r}.") from error


def opened(who: str, weights: Path, sizes: Sizes, precision: str, checksum: str | None) -> nn.Module:
    """Return the CLIPModel of a checkpoint of open_clip with these sizes: its tensors lie under ``state_dict``, or at its top.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: there is no such file, or it holds another network.
    """
    config = _config(who, sizes)
    tensors = converted(foreign.large(weights, who, checksum, under="state_dict"), who, weights)
    return from_tensors(who, "CLIPModel", config, tensors, weights, precision, {})


def converted(tensors: Mapping[str, Tensor], who: str, where: Path) -> dict[str, Tensor]:
    """Return the tensors under transformers' names: q, k and v apart, projections turned.

    Raises:
        BadInput: a tensor is no part of such a network.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        layer = LAYER.fullmatch(name)
        if name in PLAIN:
            out[PLAIN[name]] = tensor
        elif name in TURNED:
            out[TURNED[name]] = tensor.T.contiguous()
        elif stem in NORMS:
            out[f"{NORMS[stem]}.{kind}"] = tensor
        elif layer and layer[3] == "attn.in_proj" and len(tensor) % 3 == 0:
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                out[f"{_layer(layer)}.self_attn.{part}_proj.{layer[4]}"] = third.clone()
        elif layer and layer[3] in INNER:
            out[f"{_layer(layer)}.{INNER[layer[3]]}.{layer[4]}"] = tensor
        else:
            raise BadInput(f"{who}: {where} holds another network than a CLIP of open_clip: it has a tensor {name}.")
    return out


def _layer(found: re.Match[str]) -> str:
    return f"{'vision' if found[1] else 'text'}_model.encoder.layers.{found[2]}"


def _config(who: str, sizes: Sizes) -> object:
    vision = {"hidden_size": sizes.width, "intermediate_size": 4 * sizes.width, "num_hidden_layers": sizes.layers}
    vision |= {"num_attention_heads": sizes.heads, "image_size": sizes.image, "patch_size": sizes.patch}
    text = {"hidden_size": sizes.text_width, "intermediate_size": 4 * sizes.text_width, "num_hidden_layers": sizes.text_layers}
    text |= {"num_attention_heads": sizes.text_heads, "vocab_size": sizes.vocabulary, "max_position_embeddings": sizes.context}
    # Start and end are the last two words, in this order.
    text |= {"bos_token_id": sizes.vocabulary - 2, "eos_token_id": sizes.vocabulary - 1, "pad_token_id": 0}
    same = {"hidden_act": "gelu", "layer_norm_eps": 1e-5, "projection_dim": sizes.embed}
    library = imported(who, "transformers", "rewards")
    return library.CLIPConfig(text_config={**text, **same}, vision_config={**vision, **same}, projection_dim=sizes.embed)
