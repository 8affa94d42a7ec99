"""The 8x8 digits that come with scikit-learn: real data small enough for tests."""

from collections.abc import Mapping

import numpy as np

from germline.core.splits import NAMES, Splits, split
from germline.data.pictures import resized

SIZES = dict(zip(NAMES, (290, 430, 720, 290), strict=True))


def digits(sizes: Mapping[str, int] = SIZES, size: int | None = None) -> Splits:
    """Return the splits of 1,797 handwritten digits, (n, 8, 8, 1) uint8, ten classes, in the proportions of the embedded set.

    The scale 0..16 is stretched to 0..255. By default every class has 29 rows in real, 43 in reserve, 72 in judge and 29 in
    held_out: 1,730 rows; the smallest class has 174. ``size`` resizes.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (its test part).
    """
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = np.rint(raw.images * (255 / 16)).astype(np.uint8)[..., None]
    return resized(split("digits", images, raw.target.astype(np.int64), tuple("0123456789"), sizes), size)
