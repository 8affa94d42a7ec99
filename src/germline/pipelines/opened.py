"""A pretrained text-to-image pipeline, frozen: Stable Diffusion 1 and 2, XL, and 3, from a folder or the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn

from germline.core import digest
from germline.core.errors import BadInput, reason
from germline.core.extras import imported
from germline.pipelines.files import json_of, part, tokenizer
from germline.pipelines.process import Process, process_of

WHO = "A pipeline"
Kind = Literal["sd1", "sdxl", "sd3"]
NETWORK: dict[Kind, str] = {"sd1": "unet", "sdxl": "unet", "sd3": "transformer"}  # the folder of what is trained
KINDS: dict[str, Kind] = {"StableDiffusionPipeline": "sd1", "StableDiffusionXLPipeline": "sdxl", "StableDiffusion3Pipeline": "sd3"}
CLASSES: dict[Kind, tuple[str, ...]] = {  # the network's class, then those of the text encoders
    "sd1": ("UNet2DConditionModel", "CLIPTextModel"),
    "sdxl": ("UNet2DConditionModel", "CLIPTextModel", "CLIPTextModelWithProjection"),
    "sd3": ("SD3Transformer2DModel", "CLIPTextModelWithProjection", "CLIPTextModelWithProjection"),
}
THIRD = ("text_encoder_3", "tokenizer_3")  # T5 of Stable Diffusion 3, which may have none
SUFFIXES = (".json", ".txt", ".safetensors")
SHIPPED = {"emoji": Path(__file__).parent / "embedded" / "emoji"}  # pipelines that lie in the package, by name


class VAEConfig(Protocol):
    """What is read of a VAE's configuration."""

    latent_channels: int
    block_out_channels: tuple[int, ...]
    scaling_factor: float
    shift_factor: float | None


class Moments(Protocol):
    """What a VAE says of an image: a Gaussian law."""

    mean: Tensor
    std: Tensor

    def mode(self) -> Tensor:
        """Return the most probable latents."""
        ...


class Encoded(Protocol):
    """What a VAE returns."""

    latent_dist: Moments


class VAE(Protocol):
    """A variational autoencoder of diffusers, which is a module too."""

    config: VAEConfig

    def encode(self, x: Tensor) -> Encoded:
        """Return the law of the latents of images in [-1, 1]."""
        ...

    def decode(self, latents: Tensor, return_dict: bool) -> tuple[Tensor]:
        """Return images."""
        ...


class NetworkConfig(Protocol):
    """What is read of a network's configuration."""

    sample_size: int | tuple[int, int] | None
    in_channels: int


@dataclass(frozen=True, eq=False)
class Opened:
    """A pipeline's parts, float32, frozen, in evaluation, on the CPU; never changed in place.

    Of Stable Diffusion 3 the third text encoder, T5, is not among the parts: five billion weights that serve a few prompts are opened
    when prompts are to be encoded, and let go (``texts.told``).

    Attributes:
        kind: the family. Stable Diffusion 2 has the parts of 1, and is "sd1".
        folder: where it lies, in the layout of diffusers.
        digest: the sha256 of every file that counts.
        network: what is trained: a U-Net or a transformer.
        vae: what makes latents of images and images of latents.
        tokenizers: one a text encoder.
        text_encoders: CLIP's.
        process: the noise that the network was trained on.
        zeros: whether the empty prompt is all zeros, as XL may be told (``force_zeros_for_empty_prompt``).
        third: whether T5 is used: the folder has it, and its ``model_index.json`` names it.
    """

    kind: Kind
    folder: Path
    digest: str
    network: nn.Module
    vae: VAE
    tokenizers: tuple[object, ...]
    text_encoders: tuple[nn.Module, ...]
    process: Process
    zeros: bool = False
    third: bool = False

    @property
    def factor(self) -> int:
        """Pixels a side of an image for each of a latent."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def size(self) -> int:
        """Pixels a side of the images it was trained on."""
        latent = cast(NetworkConfig, self.network.config).sample_size
        if not isinstance(latent, int):
            raise BadInput(f"{WHO}: the network in {self.folder} has sample_size {latent}; square images of one size are known here.")
        return latent * self.factor

    def latent_shape(self, size: int | None = None) -> tuple[int, int, int]:
        """Return (channels, height, width) of the latents of images with ``size`` pixels a side; the pipeline's own when not given.

        Raises:
            BadInput: the VAE makes no whole latents of such images.
        """
        side = self.size if size is None else size
        if side % self.factor:
            raise BadInput(f"{WHO}: images of {side} pixels a side have no whole latents; give a multiple of {self.factor}.")
        return cast(NetworkConfig, self.network.config).in_channels, side // self.factor, side // self.factor


def open_pipeline(source: Path | str, revision: str | None = None) -> Opened:
    """Return the pipeline in a folder of diffusers' layout, or of that name on the hub; the same object while its files stay.

    Only safetensors are opened and no code of the folder runs. From the hub only what is used is downloaded, once.

    Raises:
        MissingExtra: diffusers or transformers is not installed.
        BadInput: there is no such pipeline, it is of another kind, or its parts do not fit.
    """
    folder = place(source)
    found = folder if isinstance(folder, Path) else _downloaded(folder, revision)
    if not (found / "model_index.json").exists():
        raise BadInput(f"{WHO}: {found} has no model_index.json; give a folder that save_pretrained wrote, or the name of one on the hub.")
    return _opened(found, content(found))


def place(source: Path | str) -> Path | str:
    """Return a folder as a path, whether it came as one or as text; what is no folder here is a name on the hub.

    The name "emoji" is the pipeline that is shipped, whatever folders are here; a folder of yours is "./emoji".

    Raises:
        BadInput: a path that is not there.
    """
    if isinstance(source, str) and source in SHIPPED:
        return SHIPPED[source]
    if Path(source).expanduser().is_dir():
        return Path(source).expanduser()
    if isinstance(source, Path):
        raise BadInput(f"{WHO}: there is no folder {source}.")
    return source


def content(folder: Path) -> str:
    """Return the sha256 of the names and contents of the files that count: configuration, words, and the plain safetensors."""
    used = {*_FOLDERS, "scheduler"} - (set() if third(folder) else {*THIRD})
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES and not _variant(path) and _counts(path, folder, used)]
    return digest.of_json({str(path.relative_to(folder)): digest.of_path(path) for path in files})


def _counts(path: Path, folder: Path, used: set[str]) -> bool:
    inside = path.relative_to(folder).parts
    return inside == ("model_index.json",) or inside[0] in used


def _variant(path: Path) -> bool:
    """Return whether a file holds the weights in another form, such as diffusion_pytorch_model.fp16.safetensors."""
    return path.suffix == ".safetensors" and "." in path.stem


@lru_cache(maxsize=2)
def _opened(folder: Path, content: str) -> Opened:
    index = json_of(WHO, folder / "model_index.json")
    kind = KINDS.get(str(index.get("_class_name")))
    if kind is None:
        raise BadInput(f"{WHO}: {folder} holds a {index.get('_class_name')}, but must hold one of {', '.join(KINDS)}.")
    network = CLASSES[kind][0]
    tokenizers, encoders = speaking(WHO, kind, folder)
    vae = part(WHO, "diffusers", "AutoencoderKL", folder / "vae")
    made = Opened(
        kind,
        folder,
        content,
        part(WHO, "diffusers", network, folder / NETWORK[kind]),
        cast(VAE, vae),
        tokenizers,
        encoders,
        process_of(WHO, folder / "scheduler" / "scheduler_config.json"),
        zeros_for_nothing(WHO, folder),
        third(folder),
    )
    channels, given = made.latent_shape()[0], made.vae.config.latent_channels
    if channels != given:
        raise BadInput(f"{WHO}: the {network} in {folder} takes {channels} channels, but the VAE beside it makes {given}.")
    return made


def speaking(who: str, kind: Kind, folder: Path) -> tuple[tuple[object, ...], tuple[nn.Module, ...]]:
    """Return CLIP's tokenizers and text encoders in a pipeline's folder; errors begin with ``who`` asks.

    Raises:
        BadInput: one of them is not there, or is of another class.
    """
    encoders = CLASSES[kind][1:]
    after = ["", "_2"][: len(encoders)]
    tokenizers = tuple(tokenizer(who, "CLIPTokenizer", folder / f"tokenizer{suffix}") for suffix in after)
    inner = [folder / f"text_encoder{suffix}" for suffix in after]
    return tokenizers, tuple(part(who, "transformers", name, path) for name, path in zip(encoders, inner, strict=True))


def third(folder: Path) -> bool:
    """Return whether the pipeline in a folder speaks through T5 too: its ``model_index.json`` names it, and it is there.

    To do without it, as Stable Diffusion 3 was trained to, let the index say ``"text_encoder_3": [null, null]``, as diffusers writes it.
    """
    index = json_of(WHO, folder / "model_index.json")
    named = all(index.get(name, [None, None]) != [None, None] for name in THIRD)
    return named and KINDS.get(str(index.get("_class_name"))) == "sd3" and all((folder / name).is_dir() for name in THIRD)


def t5(who: str, folder: Path, dtype: torch.dtype) -> tuple[object, nn.Module]:
    """Return the third tokenizer and text encoder in a folder of Stable Diffusion 3.

    Raises:
        BadInput: they cannot be opened.
    """
    encoder, words = (folder / name for name in THIRD)
    return tokenizer(who, "T5TokenizerFast", words), part(who, "transformers", "T5EncoderModel", encoder, dtype)


def zeros_for_nothing(who: str, folder: Path) -> bool:
    """Return whether the pipeline in a folder is told zeros instead of the empty prompt, as XL is unless its index says otherwise."""
    index = json_of(who, folder / "model_index.json")
    return index.get("_class_name") == "StableDiffusionXLPipeline" and bool(index.get("force_zeros_for_empty_prompt", True))


def _downloaded(name: str, revision: str | None) -> Path:
    hub = imported(WHO, "huggingface_hub", "t2i")
    patterns = ["model_index.json", "scheduler/*", *(f"{inner}/*{end}" for inner in _FOLDERS for end in SUFFIXES)]
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*.*.safetensors"]))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{WHO}: {name!r} is neither a folder here nor a pipeline that the hub gives ({reason(error)}). Give a folder with it:"
            " --model FOLDER."
        ) from error


_FOLDERS = ("unet", "transformer", "vae", "tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", *THIRD)
