"""What a pretrained diffusion model sees in an image: the latents of latent-space filtering, of a network of diffusers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from germline.core import digest, foreign
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.diffusion.precision import threads
from germline.features import diffusers_folder as saved
from germline.pipelines.latents import prepared
from germline.pipelines.texts import arguments

BATCH = 8  # a VAE's first maps of a 512 x 512 image take 128 MB


@dataclass(frozen=True)
class MidBlock:
    """The output of the middle of a diffusers network for the clean image, told that its noise level is ``sigma``.

    The folder is a pipeline's, as ``save_pretrained`` and the hub make it (DDPM, DDIM, DiT, Stable Diffusion 1 and 2, XL, 3), or that of a
    network alone which sees pixels. The middle is a U-Net's middle block, or a transformer's block after which half of them are
    done; flattened, or with ``pooled`` the mean over space. Images are brought to the network's own size (bicubic, antialiased),
    and encoded by the VAE where there is one (the mode, no draw), then scaled as an image of that noise level would be.

    All rows are told the same: the empty prompt (of Stable Diffusion 3 without T5, which it may run without), the null class, or
    ``label``; class 0 where the network has classes but no null class. So a row's own condition never leaks, and since the network
    is frozen, every generation is measured in one space. ``sigma`` is the nearest step that the network was trained on, in ratio; of
    flow matching it is the time sigma / (1 + sigma).

    Source: arXiv 2511.12742, Section 4 (the layer, of a U-Net); transformers, clean input and one condition are ours.

    Raises:
        MissingExtra: diffusers or transformers is not installed.
        BadInput: the folder is not such a one, ``sigma`` is outside the noise it was trained on, or ``label`` is none of its classes.
    """

    path: Path
    sigma: float = 1.0
    pooled: bool = False
    label: int | None = None

    def __post_init__(self) -> None:
        foreign.present(self.path, "MidBlock")
        if not self.sigma > 0:
            raise BadInput(f"MidBlock: sigma must be above 0, but is {self.sigma}.")

    @property
    def name(self) -> str:
        """Such as "mid-block-dit-1f0c9a" with the start of the weights' hash; then what is not usual."""
        kind, inner, _ = saved.where(self.path)
        content = digest.of_json([digest.of_path(path) for path in sorted(inner.glob("*.safetensors"))])
        level = "" if self.sigma == 1 else f"-sigma{self.sigma:g}"
        label = "" if self.label is None else f"-label{self.label}"
        return f"mid-block-{saved.NETWORKS[kind]}-{content[:6]}{'-pooled' if self.pooled else ''}{level}{label}"

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return (n, channels * height * width) or (n, tokens * width) float32; (n, channels) or (n, width) when pooled."""
        with threads(1):
            folder = saved.opened(self.path, digest.of_path(self.path))
            timestep, scale = time_of(folder, self.sigma)
            told = {**folder.told, **_class_told(folder, self.label)}
            with torch.inference_mode():
                parts = [self._pooled(middle(folder, timestep, scale * x0, told)) for x0 in _encoded(folder, pool)]
        features: np.ndarray = torch.cat(parts).numpy()
        return features

    def _pooled(self, latents: Tensor) -> Tensor:
        if not self.pooled:
            return latents.flatten(1)
        return latents.mean((2, 3) if latents.ndim == 4 else 1)


def time_of(folder: saved.Folder, sigma: float) -> tuple[float, float]:
    """Return the number that tells the network this noise level, and the factor of x0 in what it then expects to see.

    Trained on sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps: the step of the nearest sigma = sqrt(1 / alpha_bar - 1) in ratio, and
    sqrt(alpha_bar) of it. Flow matching, trained on (1 - s) x0 + s eps: s = sigma / (1 + sigma) and 1 - s.
    """
    if folder.levels is None:
        return folder.steps * sigma / (1 + sigma), 1 / (1 + sigma)
    low, high = folder.levels[0], folder.levels[np.isfinite(folder.levels)].max()
    if not low <= sigma <= high:
        raise BadInput(f"MidBlock: the network was trained on noise from sigma {low:.3g} to {high:.3g}, but sigma is {sigma:g}.")
    step = int(np.abs(np.log(folder.levels / sigma)).argmin())
    return step, float(1 / np.sqrt(1 + folder.levels[step] ** 2))


class _Reached(Exception):
    """The middle has spoken; what comes after it is not computed."""

    def __init__(self, latents: Tensor) -> None:
        self.latents = latents


def middle(folder: saved.Folder, timestep: float, x_t: Float[Tensor, "n c h w"], told: dict[str, Tensor]) -> Float[Tensor, "n *f"]:
    """Return the output of the middle block, (n, channels, height, width), or of the middle transformer block, (n, tokens, width)."""

    def caught(_module: nn.Module, _inputs: tuple[object, ...], out: Tensor | tuple[Tensor, Tensor]) -> None:
        raise _Reached(out[1] if isinstance(out, tuple) else out)  # SD3's blocks return (text, image)

    n = len(x_t)
    rows = {name: one.expand(n, *one.shape[1:]) for name, one in told.items()}
    hook = _place(folder).register_forward_hook(caught)
    try:
        folder.network(x_t, timestep=torch.full((n,), timestep), **arguments(rows))
    except _Reached as reached:
        return reached.latents
    finally:
        hook.remove()
    raise AssertionError("a forward pass goes through the middle")


def _place(folder: saved.Folder) -> nn.Module:
    if "Transformer" in folder.kind:
        blocks = folder.network.transformer_blocks
        return blocks[(len(blocks) - 1) // 2]
    if folder.network.mid_block is None:
        raise BadInput(f"MidBlock: this {folder.kind} was made without a middle block.")
    return folder.network.mid_block


def _class_told(folder: saved.Folder, label: int | None) -> dict[str, Tensor]:
    """Return the class that every row is fed, as one row; nothing for a network without classes."""
    config = folder.network.config
    dit = folder.kind == "DiTTransformer2DModel"
    if folder.kind.startswith("UNet2D") and config.class_embed_type is not None:
        raise BadInput(f"MidBlock: this {folder.kind} embeds classes by {config.class_embed_type!r}; a table of classes is known here.")
    classes = config.num_embeds_ada_norm if dit else config.num_class_embeds if folder.kind == "UNet2DModel" else None
    if label is not None and not 0 <= label < (classes or 0):
        known = f"one of its classes 0 to {classes - 1}" if classes else "left out, since it has no classes"
        raise BadInput(f"MidBlock: the label of a {folder.kind} must be {known}, but is {label}.")
    if not classes:
        return {}
    default = classes if dit else 0  # the last row of a DiT's table is the null class
    return {"class_labels": torch.tensor([default if label is None else label])}


def _encoded(folder: saved.Folder, pool: Pool) -> Iterator[Float32[Tensor, "n c h w"]]:
    """Yield images as the network knows them, a few at a time: latents, or pixels in [-1, 1]."""
    for images in pool.images.blocks(BATCH):
        x = prepared(images, 3 if folder.vae else folder.network.config.in_channels, folder.size, saved.WHO)
        if folder.vae is None:
            yield x
        else:
            config = folder.vae.config
            yield (folder.vae.encode(x).latent_dist.mode() - (config.shift_factor or 0.0)) * config.scaling_factor
