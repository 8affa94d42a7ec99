"""Names to extractors: the one grammar of feature spaces, for flags and files."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path

from germline.core.errors import BadInput
from germline.core.protocols import Extractor
from germline.features.alexnet import AlexNet
from germline.features.bottleneck import Bottleneck
from germline.features.classifier import Classifier
from germline.features.efficientnet import EfficientNetLite0
from germline.features.hugging_face import HuggingFace, from_hub
from germline.features.inception import Inception
from germline.features.mid_block import MidBlock
from germline.features.pca import PCA
from germline.features.perceptron import Perceptron
from germline.features.pixels import Pixels

HUB = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # owner/name

ALONE: dict[str, Callable[[], Extractor]] = {
    "alexnet": AlexNet,
    "alexnet-maps": lambda: AlexNet("maps"),
    "bottleneck": Bottleneck,
    "classifier": Classifier,
    "efficientnet": EfficientNetLite0,
    "lpips": lambda: AlexNet("lpips"),
    "perceptron": Perceptron,
    "pixels": Pixels,
}
WITH_WEIGHTS: dict[str, Callable[[str], Extractor]] = {
    "alexnet": lambda where: AlexNet(weights=Path(where)),
    "alexnet-maps": lambda where: AlexNet("maps", weights=Path(where)),
    "dinov2": lambda where: _dinov2(where),
    "hf": lambda where: HuggingFace(_folder(where)),
    "hf-pooled": lambda where: HuggingFace(_folder(where), pooled=True),
    "inception": lambda where: Inception(Path(where)),
    "lpips": lambda where: AlexNet("lpips", weights=Path(where)),
    "mid-block": lambda where: MidBlock(Path(where).expanduser()),
    "mid-block-pooled": lambda where: MidBlock(Path(where).expanduser(), pooled=True),
}


def extractor(name: str) -> Extractor:
    """Return the extractor of a name: ``NAME``, ``NAME:WEIGHTS``, or ``pca64-`` and one of these.

    Such as "classifier", "inception:/data/weights-inception-2015-12-05-6726825d.pth", "dinov2:facebook/dinov2-small",
    "hf:/models/vit", "mid-block:/models/stable-diffusion-2-1" (a folder of diffusers: the middle of the network), "pca64-efficientnet".

    Raises:
        BadInput: there is no such name, or its weights are not there.
    """
    reduced = re.fullmatch(r"pca(\d+)-(.+)", name)
    if reduced:
        return PCA(extractor(reduced.group(2)), dims=int(reduced.group(1)))
    kind, colon, where = name.partition(":")
    known = WITH_WEIGHTS if colon else ALONE
    if kind in WITH_WEIGHTS and colon and where:
        return WITH_WEIGHTS[kind](where)
    if kind in ALONE and not colon:
        return ALONE[kind]()
    if kind in WITH_WEIGHTS:
        raise BadInput(f"The extractor {kind} needs its weights: write {kind}:PATH.")
    if kind in ALONE:
        raise BadInput(f"The extractor {kind} takes no weights, but {name!r} gives some; write {kind}.")
    near = difflib.get_close_matches(kind, [*known, *ALONE], n=2, cutoff=0.5)
    every = [*sorted(ALONE), *(f"{key}:PATH" for key in sorted(WITH_WEIGHTS))]
    raise BadInput(
        f"There is no extractor {name!r}. "
        + (f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(every)}, each also as pca64-NAME.")
    )


def _folder(where: str) -> Path:
    """Return a folder, or where the hub's model of this name lies."""
    path = Path(where).expanduser()
    return path if path.exists() or not HUB.fullmatch(where) else from_hub(where)


def _dinov2(where: str) -> Extractor:
    found = HuggingFace(_folder(where))
    if not found.name.startswith("dinov2"):
        raise BadInput(f"{where} holds {found.name}, which is no DINOv2; write hf:{where}.")
    return found
