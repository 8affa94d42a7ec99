"""A trained diffusion model: the weights as they were last, their running mean, and what they predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from germline.diffusion import low_rank, mlp, unet
from germline.diffusion.denoiser import Denoiser, Denoising, Objective
from germline.diffusion.guidance import Extrapolated
from germline.diffusion.network import ClassNetwork
from germline.diffusion.precision import autocast
from germline.diffusion.unet import UNet


@runtime_checkable
class Model(Protocol):
    """What can be sampled from: one network, a pair of them (extrapolation), or a closed form."""

    @property
    def null(self) -> int:
        """The condition that stands for none."""
        ...

    def denoiser(self, precision: str) -> Denoiser:
        """Return the denoiser that computes in "bf16" or "fp32"."""
        ...


M = TypeVar("M", bound=Model)


@dataclass(frozen=True, eq=False)
class ClassModel:
    """A class-conditional model. ``network`` is what training goes on from, ``average`` what is sampled from; without EMA they are one.

    ``base`` is the sha256 of the weights that it was fine-tuned from, where it was.
    """

    network: ClassNetwork
    average: ClassNetwork
    objective: Objective
    base: str = ""

    @property
    def null(self) -> int:
        """The condition that stands for none; classes are 0 to null - 1."""
        return self.average.classes

    def denoiser(self, precision: str = "fp32") -> Denoising:
        """Return the denoiser of the averaged weights."""
        return Denoising(self.average, self.objective, precision)

    def bottleneck(
        self, x_t: Float[Tensor, "b c h w"], sigma: Float[Tensor, " b"], condition: Int[Tensor, " b"], precision: str = "fp32"
    ) -> Float[Tensor, "b f h//4 w//4"]:
        """Return the averaged network's middle block output as float32: the latents of latent-space filtering (arXiv 2511.12742).

        Raises:
            ValueError: the network is no U-Net, so it has no middle block.
        """
        if not isinstance(self.average, UNet):
            raise ValueError(f"A {type(self.average).__name__} has no middle block; a U-Net has one.")
        with autocast(precision, x_t.device):
            latents = self.average.bottleneck(self.objective.input(x_t, sigma), self.objective.embed(sigma), condition)
        return latents.to(x_t.dtype)

    def copy(self) -> ClassModel:
        """Return a model with the same weights that can be trained without changing this one."""
        return of_model_arrays(arrays_of(self), self.objective)


@dataclass(frozen=True, eq=False)
class Pair(Generic[M]):
    """A model that is two: ``good`` is steered away from ``bad``, which makes its mistakes more strongly. Made by SIMS.

    ``scale`` is w of ``Extrapolated``: 1 is the good model alone; else sampling costs twice the evaluations.
    """

    good: M
    bad: M
    scale: float

    @property
    def null(self) -> int:
        """The condition that stands for none."""
        return self.good.null

    @property
    def evaluations(self) -> int:
        """Network evaluations that one call of the denoiser costs: one a model, and none for a bad one that has no say."""
        parts = (self.good,) if self.scale == 1 else (self.good, self.bad)
        return sum(int(getattr(part, "evaluations", 1)) for part in parts)

    def denoiser(self, precision: str = "fp32") -> Extrapolated:
        """Return the extrapolating denoiser."""
        return Extrapolated(self.good.denoiser(precision), self.bad.denoiser(precision), self.scale)


def arrays_of(model: ClassModel) -> dict[str, np.ndarray]:
    """Return the model's weights as ``raw.NAME`` and, where others, ``ema.NAME``, float32; and ``base.sha256``, if any, as bytes."""
    parts = {"raw": model.network} if model.average is model.network else {"raw": model.network, "ema": model.average}
    base = {"base.sha256": np.frombuffer(bytes.fromhex(model.base), np.uint8)} if model.base else {}
    return base | {
        f"{part}.{name}": value.detach().contiguous().numpy() for part, net in parts.items() for name, value in net.state_dict().items()
    }


def of_model_arrays(arrays: Mapping[str, np.ndarray], objective: Objective) -> ClassModel:
    """Return the model of these arrays, the inverse of ``arrays_of``; the shapes tell channels and classes.

    Raises:
        ValueError: the arrays are not those of such a model.
    """
    raw, ema = (
        {name.removeprefix(part): torch.from_numpy(np.array(value)) for name, value in arrays.items() if name.startswith(part)}
        for part in ("raw.", "ema.")
    )
    network = network_of(raw)
    base = arrays["base.sha256"].tobytes().hex() if "base.sha256" in arrays else ""
    return ClassModel(network, network_of(ema) if ema else network, objective, base)


def network_of(arrays: Mapping[str, Tensor]) -> ClassNetwork:
    """Return the network of these named parameters: a low-rank change of another, an MLP, or a U-Net; their names tell which.

    Raises:
        ValueError: the arrays are those of none.
    """
    frozen = {name.removeprefix("frozen."): value for name, value in arrays.items() if name.startswith("frozen.")}
    if frozen:
        return low_rank.of_arrays(arrays, network_of(frozen))
    return mlp.of_arrays(arrays) if "third.weight" in arrays else unet.of_arrays(arrays)


def to_images(x: Float[Tensor, "b c h w"]) -> np.ndarray:
    """Return (b, h, w, c) uint8: round((x + 1) * 127.5), clipped to 0..255."""
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def of_images(images: np.ndarray) -> Float[Tensor, "b c h w"]:
    """Return (b, h, w, c) uint8 as float32 in [-1, 1], channels_last in memory: the inverse of ``to_images``."""
    return (torch.from_numpy(images).float() / 127.5 - 1).permute(0, 3, 1, 2)
