"""The 8x8 digits as the toy of the Chain of Diffusion splits them: a small set to adapt to, and a corpus that precedes it."""

from itertools import pairwise

import numpy as np

from germline.core.errors import BadInput
from germline.core.pool import Pool, Source
from germline.core.splits import Splits
from germline.data.pictures import resized

SHUFFLE, A_CLASS, REFERENCE, JUDGE = 7, 30, 700, 400
REAL = 10 * A_CLASS


def toy_digits(real: int = REAL, size: int | None = None) -> Splits:
    """Return splits of scikit-learn's 1,797 digits, (n, 8, 8, 1) uint8: 300 real, 397 reserve, 400 judge, 700 held_out.

    The set is shuffled once by ``default_rng(7)``. R is the first 30 of each class (``real`` takes the first tenth of that many of
    each, and leaves the other splits as they are); of the rest, the next 700 are held out, and the other 797 are reserve and judge
    together: what a base may be trained on. Only R is balanced. ``size`` resizes.

    Source: ours (the toy of our notes on arXiv 2407.17493); the digits are Alpaydin and Kaynak's, UCI, 1998 (its test part).

    Raises:
        BadInput: ``real`` is no multiple of 10 from 10 to 300.
    """
    from sklearn.datasets import load_digits

    if real % 10 or not 10 <= real <= REAL:
        raise BadInput(f"toy-digits has 30 real rows of each of 10 classes, so real must be 10, 20, ... or 300, but is {real}.")
    raw = load_digits()
    images, labels = np.rint(raw.images * (255 / 16)).astype(np.uint8)[..., None], raw.target.astype(np.int64)
    order = np.random.default_rng(SHUFFLE).permutation(len(labels))
    # The place of each row among those of its class, in shuffled order.
    place = np.array([(labels[order[:i]] == labels[row]).sum() for i, row in enumerate(order)])
    first, rest = order[place < real // 10], order[place >= A_CLASS]
    rows = np.concatenate([first, rest[REFERENCE:], rest[:REFERENCE]])
    whole = Pool.of(Source(np.ascontiguousarray(images[rows])), labels[rows], columns={"dataset_row": rows})
    ends = np.cumsum([0, len(first), len(rest) - REFERENCE - JUDGE, JUDGE, REFERENCE])
    parts = [whole.take(np.arange(start, stop)) for start, stop in pairwise(ends)]
    return resized(Splits("toy-digits", tuple("0123456789"), *parts), size)
