"""DINOv2 and other vision models from Hugging Face weights: features of a named network that the literature uses too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from germline.core import digest, foreign
from germline.core.context import Context
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.diffusion.precision import threads

BATCH = 50
SIZES = {384: "small", 768: "base", 1024: "large", 1536: "giant"}
WEIGHTS = "*.safetensors"


@dataclass(frozen=True)
class HuggingFace:
    """The class token after the last layer norm, or with ``pooled`` the model's own pooled output, of a vision model in a folder.

    The folder is as ``save_pretrained`` and the hub make it: ``config.json``, safetensors, and ``preprocessor_config.json``, whose
    resize, crop and normalisation are done by Pillow in float32. Of DINOv2-small, that is 384 values: short edge to 256 (bicubic),
    centre crop 224, ImageNet mean and deviation. Nothing is downloaded, and no code of the folder runs.

    Source: Oquab et al., "DINOv2", arXiv 2304.07193; as a space for selection: arXiv 2509.16499. Computed by transformers.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: the folder is not there, has no safetensors, needs code of its own, or holds a model without a class token.
    """

    weights: Path
    pooled: bool = False

    def __post_init__(self) -> None:
        foreign.present(self.weights, "HuggingFace")

    @property
    def name(self) -> str:
        """Such as "dinov2-small-1f0c9a": the kind of model, its size, and the start of its weights' hash."""
        kind, width = _kind(self.weights)
        content = digest.of_json([digest.of_path(path) for path in sorted(self.weights.glob(WEIGHTS))])
        return f"{kind}-{SIZES.get(width, f'd{width}')}{'-pooled' if self.pooled else ''}-{content[:6]}"

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return (n, f) float32, f being the model's width."""
        model, prepare = _loaded(self.weights, digest.of_path(self.weights), self.pooled)
        with threads(1), torch.inference_mode():
            parts = [self._features(model(pixel_values=prepare(images))) for images in pool.images.blocks(BATCH)]
        features: np.ndarray = torch.cat(parts).float().numpy()
        return features

    def _features(self, out: _Output) -> Tensor:
        """Return what is asked for; CLIP's pooled output is its class token, since its last layer norm comes after the sequence."""
        if self.pooled or _kind(self.weights)[0].startswith("clip"):
            if out.pooler_output is None:
                raise BadInput(f"HuggingFace: the model in {self.weights} has no pooled output; use its class token (pooled=False).")
            return out.pooler_output.flatten(1)
        if out.last_hidden_state.ndim != 3:
            raise BadInput(
                f"HuggingFace: the model in {self.weights} has maps, {tuple(out.last_hidden_state.shape)}, and no class token;"
                " use its pooled output (pooled=True)."
            )
        return out.last_hidden_state[:, 0]


class _Output(Protocol):
    """What is used of a model's output."""

    last_hidden_state: Tensor
    pooler_output: Tensor | None


class _Model(Protocol):
    def __call__(self, *, pixel_values: Tensor) -> _Output: ...


class _Prepare(Protocol):
    def __call__(self, images: UInt8[np.ndarray, "n h w c"]) -> Float32[Tensor, "n 3 height width"]: ...


def from_hub(name: str, revision: str = "main") -> Path:
    """Return the folder of a model of the Hugging Face hub, downloaded once: configuration and safetensors only.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        BadInput: there is no such model, or no network and no earlier download.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(f"{name} on the hub needs huggingface_hub; install it with: pip install 'germline[vision]'") from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=["*.json", WEIGHTS]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(f"{name!r} is neither a folder here nor a model that the hub gives ({reason}). Give a folder with it.") from error


def _whole(folder: Path) -> None:
    """Refuse a folder that lacks a file."""
    for name in ("config.json", "preprocessor_config.json", WEIGHTS):
        if not any(folder.glob(name)):
            raise BadInput(
                f"HuggingFace: {folder} should hold config.json, preprocessor_config.json and safetensors, but has no {name};"
                " save the model and its image processor there with save_pretrained."
            )


@lru_cache(maxsize=64)
def _kind(folder: Path) -> tuple[str, int]:
    """Return the model's type and the width of its features."""
    _whole(folder)
    config = json.loads((folder / "config.json").read_text())
    vision = config.get("vision_config", config)
    return str(config.get("model_type")).removesuffix("_vision_model"), int(vision.get("hidden_size") or vision["hidden_sizes"][-1])


@lru_cache(maxsize=1)
def _loaded(folder: Path, content: str, pooled: bool) -> tuple[_Model, _Prepare]:
    """Return the model, and what brings images into its form; ``content`` is the folder's hash, so a changed one is loaded anew."""
    _whole(folder)
    try:
        from safetensors import SafetensorError
        from transformers import AutoImageProcessor, AutoModel
    except ImportError as error:
        raise MissingExtra(f"HuggingFace needs {error.name}; install it with: pip install 'germline[vision]'") from error
    try:
        model, report = AutoModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False, backend="pil")
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(
            f"HuggingFace: the model in {folder} cannot be opened: {reason} Only safetensors of architectures inside transformers"
            " are opened, never code of the folder's own."
        ) from error

    absent = sorted(name for name in report["missing_keys"] if pooled or not name.startswith("pooler."))
    if absent:  # transformers would draw them at random
        raise BadInput(
            f"HuggingFace: the weights in {folder} lack {len(absent)} of the model's tensors, first {absent[0]}; save them whole."
        )

    def prepare(images: UInt8[np.ndarray, "n h w c"]) -> Float32[Tensor, "n 3 height width"]:
        colour = np.broadcast_to(images, (*images.shape[:3], 3))
        made: Tensor = processor(images=list(colour), return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        return made

    vision: _Model = getattr(model.eval(), "vision_model", model)
    return vision, prepare
