"""A frozen diffusion network in a folder that diffusers saved: the network, how images get in, and what the empty prompt tells it."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from germline.core.digest import Json
from germline.core.errors import BadInput, MissingExtra

NETWORKS = {"UNet2DModel": "unet", "UNet2DConditionModel": "unet-text", "DiTTransformer2DModel": "dit", "SD3Transformer2DModel": "sd3"}
# The pipelines whose way from image to network is known here, and their text encoders.
PIPELINES: dict[str, tuple[str, ...]] = {
    "DDPMPipeline": (),
    "DDIMPipeline": (),
    "DiTPipeline": (),
    "StableDiffusionPipeline": ("CLIPTextModel",),
    "StableDiffusionXLPipeline": ("CLIPTextModel", "CLIPTextModelWithProjection"),
    "StableDiffusion3Pipeline": ("CLIPTextModelWithProjection", "CLIPTextModelWithProjection"),
}
BETAS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr")


class Config(Protocol):
    """What is read of a network's configuration; each kind has only some of it."""

    sample_size: int | tuple[int, int] | None
    in_channels: int
    num_class_embeds: int | None
    class_embed_type: str | None
    num_embeds_ada_norm: int
    time_embedding_type: str
    block_out_channels: tuple[int, ...]
    latent_channels: int
    scaling_factor: float
    shift_factor: float | None


class Latents(Protocol):
    """What a VAE says of an image."""

    def mode(self) -> Tensor:
        """Return the most probable latents."""
        ...


class Encoded(Protocol):
    """What a VAE returns."""

    latent_dist: Latents


class VAE(Protocol):
    """A variational autoencoder of diffusers."""

    config: Config

    def encode(self, x: Tensor) -> Encoded:
        """Return the law of the latents of images in [-1, 1]."""
        ...


class Network(Protocol):
    """A UNet or transformer of diffusers."""

    config: Config
    mid_block: nn.Module | None
    transformer_blocks: nn.ModuleList

    def __call__(self, x_t: Float[Tensor, "n c h w"], /, *, timestep: Tensor, **told: Tensor | dict[str, Tensor]) -> object:
        """Denoise."""
        ...


@dataclass(frozen=True, eq=False)
class Folder:
    """What a folder holds.

    Attributes:
        kind: the network's class.
        network: the network, float32, in evaluation.
        vae: what encodes images, or None where the network sees pixels.
        told: the empty prompt's embeddings, one row, by the network's names for them; none where it takes no text.
        levels: sigma of each step it was trained on; None for flow matching, which was trained on every time.
        steps: the number that stands for the time of pure noise.
    """

    kind: str
    network: Network
    vae: VAE | None
    told: dict[str, Tensor]
    levels: Float64[np.ndarray, " steps"] | None
    steps: int

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width in pixels of the images it was trained on; None if it does not say."""
        latent = self.network.config.sample_size
        if latent is None:
            return None
        height, width = (latent, latent) if isinstance(latent, int) else latent
        factor = 1 if self.vae is None else 2 ** (len(self.vae.config.block_out_channels) - 1)
        return height * factor, width * factor


def where(folder: Path) -> tuple[str, Path, str | None]:
    """Return the network's class, the folder it lies in, and the pipeline's class; None for a network alone.

    Raises:
        BadInput: the folder holds no network or pipeline that is known here.
    """
    index = _json(folder / "model_index.json")
    pipeline, inner = None, folder
    if index:
        pipeline = str(index.get("_class_name"))
        if pipeline not in PIPELINES:
            raise BadInput(f"MidBlock: {folder} holds a {pipeline}, but must hold one of {', '.join(PIPELINES)}, or a network alone.")
        inner = folder / ("unet" if "unet" in index else "transformer")
    kind = str(_json(inner / "config.json").get("_class_name", ""))
    if kind not in NETWORKS:
        found = f"holds a {kind}" if kind else "has no config.json"
        raise BadInput(f"MidBlock: {inner} {found}, but must hold one of {', '.join(NETWORKS)}, as save_pretrained writes it.")
    return kind, inner, pipeline


@lru_cache(maxsize=1)
def opened(folder: Path, content: str) -> Folder:
    """Return what is in a folder; ``content`` is its hash, so a changed one is opened anew. Nothing is downloaded, no code of its own runs.

    Raises:
        MissingExtra: diffusers or transformers is not installed.
        BadInput: the folder cannot be opened, lacks tensors, or its parts do not fit.
    """
    kind, inner, pipeline = where(folder)
    network = cast(Network, _part("diffusers", kind, inner))
    vae = cast(VAE, _part("diffusers", "AutoencoderKL", folder / "vae")) if pipeline and (folder / "vae").exists() else None
    channels, given = network.config.in_channels, vae.config.latent_channels if vae else None
    if given not in (None, channels) or (vae is None and channels not in (1, 3)):
        raise BadInput(
            f"MidBlock: the {kind} in {inner} takes {channels} channels, but "
            + (f"the VAE beside it makes {given}" if vae else "images have 1 or 3; give the whole pipeline's folder, with its VAE")
            + "."
        )
    if kind.startswith("UNet2D") and network.config.time_embedding_type == "fourier":
        raise BadInput(
            f"MidBlock: the {kind} in {inner} is told log sigma of noise without a bound; networks of DDPM's steps are known here."
        )
    told = _nothing(folder, pipeline, network) if pipeline and PIPELINES[pipeline] else {}
    if not told and kind in ("UNet2DConditionModel", "SD3Transformer2DModel"):
        raise BadInput(f"MidBlock: the {kind} in {inner} needs a prompt; give the whole pipeline's folder, with its text encoders.")
    levels, steps = _times(folder / "scheduler" / "scheduler_config.json" if pipeline else None)
    made = Folder(kind, network, vae, told, levels, steps)
    if "text_embeds" in told and made.size:  # SDXL is told the size of an image and that nothing was cropped
        told["time_ids"] = torch.tensor([[*made.size, 0, 0, *made.size]], dtype=torch.float32)
    return made


def _nothing(folder: Path, pipeline: str, network: Network) -> dict[str, Tensor]:
    """Return what guidance sets against a prompt, by the pipeline's own code: the empty prompt, or zeros where SDXL was trained so.

    SD3's third encoder, T5, is left out, which it was trained to bear: five billion weights for one constant row.
    """
    diffusers, transformers = _library("diffusers"), _library("transformers")
    parts: dict[str, object] = {"vae": None, "scheduler": None}
    for number, encoder in enumerate(PIPELINES[pipeline]):
        after = f"_{number + 1}" if number else ""
        parts[f"text_encoder{after}"] = _part("transformers", encoder, folder / f"text_encoder{after}")
        try:
            parts[f"tokenizer{after}"] = transformers.CLIPTokenizer.from_pretrained(folder / f"tokenizer{after}", local_files_only=True)
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"MidBlock: the tokenizer in {folder / f'tokenizer{after}'} cannot be opened: {_first(error)}") from error
    prompts: dict[str, None] = {}
    if pipeline == "StableDiffusionPipeline":
        parts |= {"unet": network, "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    elif pipeline == "StableDiffusionXLPipeline":
        zeros = _json(folder / "model_index.json").get("force_zeros_for_empty_prompt", True)
        parts |= {"unet": network, "force_zeros_for_empty_prompt": zeros, "add_watermarker": False}
    else:
        parts |= {"transformer": network, "text_encoder_3": None, "tokenizer_3": None}
        prompts = {"prompt_2": None, "prompt_3": None}
    with torch.no_grad():
        _, sequence, *pooled = getattr(diffusers, pipeline)(**parts).encode_prompt(
            "", device=torch.device("cpu"), num_images_per_prompt=1, do_classifier_free_guidance=True, **prompts
        )
    name = "text_embeds" if pipeline == "StableDiffusionXLPipeline" else "pooled_projections"
    return {"encoder_hidden_states": sequence, **({name: pooled[-1]} if pooled else {})}


def _times(file: Path | None) -> tuple[Float64[np.ndarray, " steps"] | None, int]:
    """Return sigma at each training step, and their number; of a network alone, those of DDPM (arXiv 2006.11239, Section 4)."""
    config = _json(file) if file else {}
    if file and not config:
        raise BadInput(f"MidBlock: there is no {file}, which says what noise the network was trained on; save the pipeline whole.")
    kind = config.get("_class_name", "DDPMScheduler")
    if str(kind).startswith("FlowMatch") or config.get("prediction_type") == "flow_prediction":
        return None, int(str(config.get("num_train_timesteps", 1000)))
    if file and "beta_schedule" not in config and not config.get("trained_betas"):
        raise BadInput(f"MidBlock: the {kind} of {file} has no betas; DDPM's noise and flow matching are known here.")
    schedule = _library("diffusers").DDPMScheduler(**{name: config[name] for name in BETAS if name in config})
    alpha_bar = schedule.alphas_cumprod.double().numpy()
    with np.errstate(divide="ignore"):  # the last step may be noise alone
        return np.sqrt(1 / alpha_bar - 1), len(alpha_bar)


def _part(library: str, kind: str, folder: Path) -> nn.Module:
    """Return a model with all its tensors from safetensors, float32, in evaluation."""
    try:
        from safetensors import SafetensorError

        model, report = getattr(_library(library), kind).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, MissingExtra):
            raise
        raise BadInput(f"MidBlock: the {kind} in {folder} cannot be opened: {_first(error)} Only safetensors are.") from error
    if absent := sorted(report["missing_keys"]):  # they would have been drawn at random
        raise BadInput(f"MidBlock: the {kind} in {folder} lacks {len(absent)} of its tensors, first {absent[0]}; save it whole.")
    frozen: nn.Module = model.float().eval().requires_grad_(False)
    return frozen


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(f"MidBlock needs {error.name}; install it with: pip install 'germline[t2i]'") from error


def _json(file: Path) -> dict[str, Json]:
    """Return a JSON file's content, empty where there is none."""
    try:
        found = json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise BadInput(f"MidBlock: {file} is no JSON: {error}.") from error
    return found if isinstance(found, dict) else {}


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
