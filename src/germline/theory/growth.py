"""How much a chain adds to, or takes from, what its images say: the growth of a trait in one generation, and the scale that keeps it.

A trait's displacement is how far a class mean lies from the mean of all. Training absorbs a share h of the displacement of its data, and
a sampler at guidance scale s multiplies it by g(s), g(1) = 1: after k generations it is (h g(s))^k of what it was, until images clip.
G(s) = h g(s) < 1 fades towards the mean of all (blur), G(s) > 1 exaggerates, and at the critical scale s* G(s*) = 1.

[derived, ours]; the chain that it speaks of is that of Yoon et al., arXiv 2407.17493, who say none of this. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from germline.core.displacement import Displacement, Labels


def growth(h: float, g: float) -> float:
    """Return G = h g: the factor by which one generation multiplies a displacement [derived, ours]."""
    return h * g


def displacement(h: float, g: float, generations: int) -> Float[np.ndarray, " generations"]:
    """Return the displacement after 1, 2, ... generations as a share of the real data's: (h g)^k, before any clipping [derived, ours]."""
    return np.power(growth(h, g), np.arange(1, generations + 1, dtype=np.float64))


def critical_scale(scales: Sequence[float], growths: Sequence[float]) -> float | None:
    """Return s*, where the growth crosses 1 upwards, linear between two scales; None where it does not on these scales [derived, ours].

    Raises:
        ValueError: the scales do not rise, or are not as many as the growths.
    """
    if len(scales) != len(growths) or any(a >= b for a, b in pairwise(scales)):
        raise ValueError(f"critical_scale needs rising scales, one for each growth, but got {list(scales)} and {len(growths)} growths.")
    for (low, below), (high, above) in pairwise(zip(scales, growths, strict=True)):
        if below <= 1 <= above and below < above:
            return low + (high - low) * (1 - below) / (above - below)
    return None


def critical_scale_of_equal_spreads(h: float) -> float:
    """Return s* = 1 / h, where classes are as wide as all images together: then g(s) = s [derived, ours]."""
    return 1 / h


def estimated_growth(samples: Float[np.ndarray, "n d"], of_samples: Labels, data: Float[np.ndarray, "m d"], of_data: Labels) -> float:
    """Return Ghat: how far the samples' class means lie from their mean, along the data's, in units of the data's [derived, ours].

    Ghat = sum_c <mbar_c - mbar, dbar_c - dbar> / sum_c |dbar_c - dbar|^2 over the classes that both have. At scale 1 it estimates h.

    Raises:
        BadInput: fewer than two classes in common, or classes of the data with one and the same mean.
    """
    return float(Displacement.of(data, of_data, of_samples).shares(samples, of_samples).sum())


def null_branch_leak(tuned: Float[np.ndarray, " d"], base: Float[np.ndarray, " d"], data: Float[np.ndarray, " d"]) -> float:
    """Return <u - u0, m - u0> / |m - u0|^2: how far fine-tuning moved unconditional samples towards its data [derived, ours].

    ``tuned`` and ``base`` are the mean unconditional samples u and u0 after and before fine-tuning, ``data`` the data's mean m. 0: the
    null branch stayed where it was; 1: it moved all the way, and guidance no longer points from the base to the data.

    Raises:
        ValueError: the base's mean is the data's.
    """
    way = np.asarray(data, np.float64) - base
    if not way.any():
        raise ValueError("The null-branch leak is a share of the way from the base to the data, but their means are equal.")
    return float((tuned - base) @ way / (way @ way))
