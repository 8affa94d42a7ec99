"""Real features for the other benchmarks: 65,536 CIFAR-10 images in the first 384 principal components of EfficientNet-Lite0.

All 60,000 images, and mirrored copies of the first 5,536. Takes a few minutes on one core; needs the extra ``features``.

    python scripts/real_features.py features.npy [--cifar10 folder] [--rows 65536 --dim 384]
    python benchmarks/selection.py --features features.npy
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.pool import Pool, Source
from germline.data.cifar10 import cifar10
from germline.features.efficientnet import EfficientNetLite0
from germline.features.pca import principal


def main() -> None:
    """Compute the features and write them."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("out", type=Path)
    flags.add_argument("--cifar10", type=Path, help="where CIFAR-10 lies, if germline does not find it by itself")
    flags.add_argument("--rows", type=int, default=65_536)
    flags.add_argument("--dim", type=int, default=384)
    given = flags.parse_args()
    data = cifar10(whole=True, where=given.cifar10)
    images = data.real.sources[-1].images
    pool = Pool.of(Source(np.concatenate([images, images[: max(0, given.rows - len(images)), :, ::-1]])[: given.rows]))
    with tempfile.TemporaryDirectory() as folder:
        features = Context(0, 0, data, cache=Cache(Path(folder))).features(EfficientNetLite0(), pool)
    centred = features - features.mean(axis=0, dtype=np.float64)
    fitted = principal(centred, given.dim)
    np.save(given.out, (centred @ fitted["directions"]).astype(np.float32))
    print(f"{given.out}: {len(pool)} rows, d = {given.dim}, {100 * float(fitted['explained']):.1f} % of the variance")


if __name__ == "__main__":
    main()
