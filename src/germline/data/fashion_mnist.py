"""Fashion-MNIST, the default: 28x28 grey images of clothes. A slice lies in the package; the whole set is found by ``places``."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from germline.core.errors import BadInput
from germline.core.splits import EMBEDDED, Splits, split
from germline.data import npz
from germline.data.pictures import resized
from germline.data.places import Facts, Published, from_idx, splits

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
SLICE = Path(__file__).parent / "embedded" / "fashion_mnist.npz"

FASHION_MNIST = Published(
    name="fashion-mnist",
    classes=CLASSES,
    files=("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    package="dataset-fashion-mnist_*.deb",
    inside="usr/share/datasets/fashion-mnist",
    sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    fetch=(
        "apt-get download dataset-fashion-mnist    # 31 MB, into this folder; then run again here",
        "apt-get install dataset-fashion-mnist     # for every user of this machine",
    ),
    hub=("zalando-datasets/fashion_mnist", "image", "label"),
    facts=Facts(60_000, 10_000, (28, 28, 1), mean=(72.9404,), first_train=(9, 0, 0, 3, 0, 2, 7)),
    read=from_idx,
    installed=Path("/usr/share/datasets/fashion-mnist"),
)


def fashion_mnist(
    whole: bool = False, sizes: Mapping[str, int] | None = None, where: Path | str | None = None, size: int | None = None
) -> Splits:
    """Return the splits of Fashion-MNIST, (n, 28, 28, 1) uint8, ten classes.

    By default those of the slice that comes with germline: the first 1,200 training images of each class, split into 2,000
    (real), 3,000 (reserve), 5,000 (judge) and 2,000 (held_out). With ``whole``, of all 70,000 images, training and test rows
    together, into 10,000, 15,000, 25,000 and 10,000; ``where`` names a file or folder that has them. ``size`` resizes.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST", arXiv 1708.07747. MIT licence, Zalando SE.

    Raises:
        BadInput: ``sizes`` asks for more than there is, or ``where`` holds something else.
        GermlineError: the whole set was asked for and is nowhere to be found.
    """
    if whole:
        return splits(FASHION_MNIST, whole, sizes, where, size)
    if where is not None:
        raise BadInput(
            f"fashion_mnist(where={str(where)!r}) reads the slice that comes with germline, from no other place; add whole=True."
        )
    arrays = npz.read(SLICE)
    labels = arrays["labels"].astype(np.int64)
    return resized(split("fashion-mnist-slice", arrays["images"][..., None], labels, CLASSES, sizes or EMBEDDED), size)
