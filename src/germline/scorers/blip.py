"""The network of ImageReward, from its own checkpoint, on transformers' BLIP; nothing may be missing or left over."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from jaxtyping import Float32, Int64
from torch import Tensor, nn

from germline.core import foreign
from germline.core.errors import BadInput
from germline.core.extras import imported
from germline.scorers.library import from_tensors

HEAD = {0: 1024, 2: 128, 4: 64, 6: 16, 7: 1}  # the layers of the head and their widths; those between are dropouts
UNUSED = re.compile(
    r"blip\.(vision_proj|text_proj)\.(weight|bias)|blip\.text_encoder\.embeddings\.position_ids"
)  # in the file for training
VISION = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
    "norm.weight": "post_layernorm.weight",
    "norm.bias": "post_layernorm.bias",
}
INNER = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.qkv": "self_attn.qkv", "attn.proj": "self_attn.projection"}
INNER |= {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.(weight|bias)")


@dataclass(frozen=True)
class Sizes:
    """The sizes of the network; the defaults are ImageReward's: ViT-L/16 and BERT-base with cross-attention."""

    image: int = 224
    patch: int = 16
    width: int = 1024
    layers: int = 24
    heads: int = 16
    vocabulary: int = 30524
    text_width: int = 768
    text_layers: int = 12
    text_heads: int = 12
    text_inner: int = 3072
    positions: int = 512


def sizes_beside(weights: Path) -> Sizes:
    """Return the sizes that a ``sizes.json`` beside the weights tells, by the names of ``Sizes``; ImageReward's without one.

    Raises:
        BadInput: the file tells others.
    """
    file = weights.parent / "sizes.json"
    try:
        return Sizes(**json.loads(file.read_text())) if file.exists() else Sizes()
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"{file} should tell sizes of ImageReward's network ({', '.join(vars(Sizes()))}), but cannot be read: {error}."
        ) from error


class Hidden(Protocol):
    """What transformers returns of an encoder."""

    last_hidden_state: Tensor


class Reward(nn.Module):
    """Image and prompt to one number: the head on the first hidden state of a text encoder that looks at the image."""

    def __init__(self, vision: nn.Module, text: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.vision, self.text, self.head = vision, text, head

    def forward(self, x: Float32[Tensor, "b 3 s s"], ids: Int64[Tensor, "b t"], mask: Int64[Tensor, "b t"]) -> Float32[Tensor, " b"]:
        """Return the raw reward of each row."""
        seen = cast(Callable[..., Hidden], self.vision)(pixel_values=x).last_hidden_state
        # Called as an encoder: the prompt is read in both directions.
        read = cast(Callable[..., Hidden], self.text)(input_ids=ids, attention_mask=mask, encoder_hidden_states=seen, is_decoder=False)
        out: Tensor = self.head(read.last_hidden_state[:, 0].float()).squeeze(-1)
        return out


def opened(who: str, weights: Path, sizes: Sizes, precision: str, checksum: str | None) -> Reward:
    """Return the network of a checkpoint with these sizes, frozen.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: there is no such file, or it holds another network.
    """
    vision_config, text_config = _configs(who, sizes)
    vision, text, head = converted(foreign.large(weights, who, checksum), who, weights)
    layers = nn.Sequential(
        *(nn.Linear(before, after) for before, after in zip((sizes.text_width, *HEAD.values()), HEAD.values(), strict=False))
    )
    found = {name: (tuple(tensor.shape), tuple(head[name].shape) if name in head else None) for name, tensor in layers.state_dict().items()}
    if odd := sorted({*head} - {*found} | {name for name, (expected, there) in found.items() if expected != there}):
        raise BadInput(f"{who}: {weights} holds another head than {sizes.text_width}-1024-128-64-16-1: see layer {odd[0]}.")
    layers.load_state_dict(head)
    return Reward(
        from_tensors(who, "BlipVisionModel", vision_config, vision, weights, precision, {}),
        from_tensors(who, "BlipTextModel", text_config, text, weights, precision, {"add_pooling_layer": False}),
        layers.float().requires_grad_(False),
    ).eval()


def converted(tensors: Mapping[str, Tensor], who: str, where: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors of image encoder, text encoder and head, under the names that the library has for them.

    Raises:
        BadInput: a tensor is no part of such a network.
    """
    vision: dict[str, Tensor] = {}
    text: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    places = {layer: place for place, layer in enumerate(HEAD)}
    for name, tensor in tensors.items():
        inner = name.removeprefix("blip.visual_encoder.")
        block, layer = BLOCK.fullmatch(inner), re.fullmatch(r"mlp\.layers\.(\d+)\.(weight|bias)", name)
        if UNUSED.fullmatch(name):
            continue
        if name.startswith("blip.text_encoder."):
            text[name.removeprefix("blip.text_encoder.")] = tensor
        elif inner != name and inner in VISION:
            vision[VISION[inner]] = tensor
        elif inner != name and block and block[2] in INNER:
            vision[f"encoder.layers.{block[1]}.{INNER[block[2]]}.{block[3]}"] = tensor
        elif layer and int(layer[1]) in places:
            head[f"{places[int(layer[1])]}.{layer[2]}"] = tensor
        else:
            raise BadInput(f"{who}: {where} holds another network than ImageReward's: it has a tensor {name}.")
    return vision, text, head


def _configs(who: str, sizes: Sizes) -> tuple[object, object]:
    library = imported(who, "transformers", "rewards")
    vision = library.BlipVisionConfig(
        hidden_size=sizes.width,
        intermediate_size=4 * sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        image_size=sizes.image,
        patch_size=sizes.patch,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )
    text = library.BlipTextConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.text_width,
        encoder_hidden_size=sizes.width,
        intermediate_size=sizes.text_inner,
        num_hidden_layers=sizes.text_layers,
        num_attention_heads=sizes.text_heads,
        max_position_embeddings=sizes.positions,
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        is_decoder=True,  # it is what creates the cross-attention
        bos_token_id=sizes.vocabulary - 2,
        eos_token_id=sizes.vocabulary - 1,
        sep_token_id=sizes.vocabulary - 1,
        pad_token_id=0,
    )
    return vision, text
