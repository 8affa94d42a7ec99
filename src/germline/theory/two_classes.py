"""Two classes of latents on two subspaces, and how surely Bayes' rule tells them apart: what the angles between them decide.

h | c ~ N(0, U_c U_c^T + sigma^2 I), U_c a d x r orthonormal basis, equal priors. Source of the model: arXiv 2511.12742; of the
bound in this form: ours (there, as told by a third party, a factor stands outside the sigmoid, which cannot hold).
"""

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import expit


def bases(angles: Float[np.ndarray, " r"], d: int) -> tuple[Float64[np.ndarray, "d r"], Float64[np.ndarray, "d r"]]:
    """Return two orthonormal bases with these principal angles in radians: e_i, and cos e_i + sin e_{r+i}.

    Raises:
        ValueError: fewer than 2 r dimensions.
    """
    r = len(angles)
    if d < 2 * r:
        raise ValueError(f"Two subspaces of {r} dimensions at any angles need {2 * r} dimensions, but d is {d}.")
    eye = np.eye(d)
    return eye[:, :r], np.cos(angles) * eye[:, :r] + np.sin(angles) * eye[:, r : 2 * r]


def draw(basis: Float[np.ndarray, "d r"], n: int, sigma: float, rng: np.random.Generator) -> Float64[np.ndarray, "n d"]:
    """Return n latents of the class with this basis."""
    d, r = basis.shape
    h: np.ndarray = rng.normal(size=(n, r)) @ basis.T + sigma * rng.normal(size=(n, d))
    return h


def log_odds(
    h: Float[np.ndarray, "n d"], own: Float[np.ndarray, "d r"], other: Float[np.ndarray, "d r"], sigma: float
) -> Float64[np.ndarray, " n"]:
    """Return z = log p(own | h) / p(other | h) = (|U_own^T h|^2 - |U_other^T h|^2) / (2 sigma^2 (sigma^2 + 1)).

    Both covariances have one determinant, and (U U^T + sigma^2 I)^-1 = (I - U U^T / (1 + sigma^2)) / sigma^2.
    """
    difference = np.square(h @ own).sum(axis=1) - np.square(h @ other).sum(axis=1)
    z: np.ndarray = difference / (2 * sigma**2 * (sigma**2 + 1))
    return z


def mean_log_odds(angles: Float[np.ndarray, " r"], sigma: float) -> float:
    """Return E[z] = sum_i sin^2 theta_i / (2 sigma^2 (sigma^2 + 1)), of rows of the own class."""
    return float(np.square(np.sin(angles)).sum() / (2 * sigma**2 * (sigma**2 + 1)))


def confidence_bound(angles: Float[np.ndarray, " r"], sigma: float) -> float:
    """Return s(E[z]), which E[xi] = E[s(z)] never exceeds; s is the sigmoid.

    By the symmetry of the classes p(z) = e^z p(-z), so with q(z) = p(z) + p(-z) on z >= 0, E[xi] = 1/2 + 1/2 E_q[tanh^2(z / 2)] and
    E[z] = E_q[w], w = z tanh(z / 2). tanh^2(z / 2) <= tanh(w / 2), which is concave in w: Jensen's inequality.
    """
    return float(expit(mean_log_odds(angles, sigma)))


def loosest_bound(largest: float, r: int, sigma: float) -> float:
    """Return s(r sin^2 theta_max / (2 sigma^2 (sigma^2 + 1))), the bound that knows only the largest of r angles (Theorem 2, corrected)."""
    return confidence_bound(np.full(r, largest), sigma)
