"""Make the slice of Fashion-MNIST that lies in the package: the first 1,200 training images of each class, in the order of the set.

apt-get download dataset-fashion-mnist
python scripts/make_embedded_fashion_mnist.py dataset-fashion-mnist_*.deb
"""

import argparse
from pathlib import Path

import numpy as np

from germline.core.atomic import write_bytes
from germline.core.digest import of_file
from germline.data import archives, npz
from germline.data.fashion_mnist import CLASSES, FASHION_MNIST, SLICE
from germline.data.places import load

A_CLASS = 1_200
COPYRIGHT = "usr/share/doc/dataset-fashion-mnist/copyright"


def main() -> None:
    """Read the package, write the slice and its licence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="Debian's package dataset-fashion-mnist, a .deb file")
    package: Path = parser.parse_args().package
    data = load(FASHION_MNIST, package)
    labels = data.labels[: FASHION_MNIST.facts.train]
    rows = np.sort(np.concatenate([np.flatnonzero(labels == label)[:A_CLASS] for label in range(len(CLASSES))]))
    npz.write(SLICE, {"images": data.images[rows, ..., 0], "labels": labels[rows].astype(np.uint8)}, compress=True)
    write_bytes(SLICE.with_name("LICENSE-fashion-mnist.txt"), archives.read(package, [COPYRIGHT])[COPYRIGHT])
    print(f"{SLICE.name}: {len(rows)} images, {SLICE.stat().st_size} bytes, sha256 {of_file(SLICE)}")


if __name__ == "__main__":
    main()
