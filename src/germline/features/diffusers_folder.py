"""A frozen diffusion network in a folder that diffusers saved: the network, how images get in, and what the empty prompt tells it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from germline.core.errors import BadInput
from germline.pipelines.files import alpha_bars, json_of, part
from germline.pipelines.opened import KINDS, VAE, speaking, zeros_for_nothing
from germline.pipelines.texts import NULL, Words

NETWORKS = {"UNet2DModel": "unet", "UNet2DConditionModel": "unet-text", "DiTTransformer2DModel": "dit", "SD3Transformer2DModel": "sd3"}
PIPELINES = ("DDPMPipeline", "DDIMPipeline", "DiTPipeline", *KINDS)  # those whose way from image to network is known here
WHO = "MidBlock"


class Config(Protocol):
    """What is read of a network's configuration; each kind has only some of it."""

    sample_size: int | tuple[int, int] | None
    in_channels: int
    num_class_embeds: int | None
    class_embed_type: str | None
    num_embeds_ada_norm: int
    time_embedding_type: str


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
    index = json_of(WHO, folder / "model_index.json")
    pipeline, inner = None, folder
    if index:
        pipeline = str(index.get("_class_name"))
        if pipeline not in PIPELINES:
            raise BadInput(f"MidBlock: {folder} holds a {pipeline}, but must hold one of {', '.join(PIPELINES)}, or a network alone.")
        inner = folder / ("unet" if "unet" in index else "transformer")
    kind = str(json_of(WHO, inner / "config.json").get("_class_name", ""))
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
    network = cast(Network, part(WHO, "diffusers", kind, inner))
    vae = cast(VAE, part(WHO, "diffusers", "AutoencoderKL", folder / "vae")) if pipeline and (folder / "vae").exists() else None
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
    told = _nothing(folder, pipeline, cast(nn.Module, network)) if pipeline in KINDS else {}
    if not told and kind in ("UNet2DConditionModel", "SD3Transformer2DModel"):
        raise BadInput(f"MidBlock: the {kind} in {inner} needs a prompt; give the whole pipeline's folder, with its text encoders.")
    levels, steps = _times(folder / "scheduler" / "scheduler_config.json" if pipeline else None)
    made = Folder(kind, network, vae, told, levels, steps)
    if "text_embeds" in told and made.size:  # SDXL is told the size of an image and that nothing was cropped
        told["time_ids"] = torch.tensor([[*made.size, 0, 0, *made.size]], dtype=torch.float32)
    return made


def _nothing(folder: Path, pipeline: str, network: nn.Module) -> dict[str, Tensor]:
    """Return what guidance sets against a prompt: the empty prompt, or zeros where SDXL was trained so."""
    kind = KINDS[pipeline]
    return Words(kind, network, *speaking(WHO, kind, folder), zeros_for_nothing(WHO, folder))([NULL])


def _times(file: Path | None) -> tuple[Float64[np.ndarray, " steps"] | None, int]:
    """Return sigma at each training step, and their number; of a network alone, those of DDPM."""
    alpha_bar, steps = alpha_bars(WHO, file)
    if alpha_bar is None:
        return None, steps
    with np.errstate(divide="ignore"):  # the last step may be noise alone
        return np.sqrt(1 / alpha_bar - 1), steps
