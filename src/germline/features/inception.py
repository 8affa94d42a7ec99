"""The network of the FID: TensorFlow's Inception of 2015-12-05, from the user's weights file."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from germline.core import foreign
from germline.core.context import Context
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.diffusion.precision import threads

PUBLISHED = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
BATCH = 25
Network = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Inception:
    """The 2048 values after the last pooling ("pool3") of TensorFlow's Inception, images brought to 299 x 299 as TensorFlow 1 did.

    ``weights`` is ``weights-inception-2015-12-05-6726825d.pth``, the file of torch-fidelity and of pytorch-fid, which germline does
    not bring along. A Frechet distance in this space, and in no other, is called FID. Another ``checksum`` than the published one
    opens another file of the same architecture, and its distances are called FD-inception-....

    Source: Szegedy et al., arXiv 1512.00567; as the space of the FID: Heusel et al., arXiv 1706.08500. Computed by torch-fidelity.

    Raises:
        MissingExtra: torch-fidelity is not installed.
        BadInput: there is no such file, its sha256 is not ``checksum``, or it holds another network.
    """

    weights: Path
    checksum: str = PUBLISHED

    def __post_init__(self) -> None:
        foreign.present(self.weights, "Inception")

    @property
    def name(self) -> str:
        """Either "inception-2015-12-05", for the published weights, or "inception-" and the start of the checksum."""
        return "inception-2015-12-05" if self.checksum == PUBLISHED else f"inception-{self.checksum[:6]}"

    @property
    def frechet_name(self) -> str:
        """What a Frechet distance in this space is called: "FID" for the published weights only."""
        return "FID" if self.checksum == PUBLISHED else f"FD-{self.name}"

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n 2048"]:
        """Return (n, 2048) float32, not below 0."""
        network = _network(self.weights, self.checksum)
        with threads(1), torch.inference_mode():
            parts = [network(colour(images))[0] for images in pool.images.blocks(BATCH)]
        features: np.ndarray = torch.cat(parts).numpy()
        return features


def colour(images: UInt8[np.ndarray, "n h w c"]) -> UInt8[Tensor, "n 3 h w"]:
    """Return images as uint8 tensors with channels first; grey is repeated to three channels."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1).contiguous()


@lru_cache(maxsize=1)
def _network(weights: Path, checksum: str) -> Network:
    content = foreign.verified(weights, checksum, "Inception")
    # torch-fidelity unpickles the file that it is given: it is given one that we wrote, of nothing but tensors.
    ours = io.BytesIO()
    torch.save(foreign.tensors(content, weights), ours)
    ours.seek(0)
    try:
        network: Network = _architecture()("inception", ["2048"], feature_extractor_weights_path=ours)
    except (RuntimeError, KeyError) as error:
        raise BadInput(f"Inception: {weights} holds another network than torch-fidelity's Inception: {error}") from error
    return network


def _architecture() -> Callable[..., Network]:
    """Return torch-fidelity's class, without running its ``__init__``, which needs a torchvision that fits the torch here."""
    package = "torch_fidelity"
    known, spec = sys.modules.get(package), importlib.util.find_spec(package)
    if spec is None:
        raise MissingExtra(
            "Inception needs torch-fidelity; install it with: pip install 'germline[fid]',"
            " or without torchvision, which is not used: pip install --no-deps torch-fidelity"
        )
    try:
        if known is None:
            sys.modules[package] = importlib.util.module_from_spec(spec)
        made: Callable[..., Network] = importlib.import_module(f"{package}.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    finally:
        if known is None:
            for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
                del sys.modules[name]
    return made
