"""A linear probe: one softmax layer on features, and how surely it puts a row where the row's label says."""

import warnings

import numpy as np
from jaxtyping import Float, Float64, Int, Int64
from threadpoolctl import threadpool_limits

from germline.core.cache import Arrays
from germline.core.errors import GermlineError
from germline.core.pool import REAL
from germline.core.seeds import rng

ITERATIONS = 5_000
DEAD = 1e-6  # a feature whose deviation is below this share of the largest one says nothing


class NoOptimumFound(GermlineError):
    """The search for the probe's weights ended before it had converged."""


def fit(features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], penalty: float) -> Arrays:
    """Return ``weight`` (C, d) and ``bias`` (C) of the logits weight h + bias, float64, for the C labels 0 to C - 1.

    The least of sum_i -log softmax(o_i)[y_i] + penalty / 2 |W|^2, W the weight on standardised features: convex, so the full-batch
    optimum has no seed. Without a penalty and with more features than rows there is no optimum, and the search ends at a zero loss.

    Raises:
        NoOptimumFound: the search did not converge.
    """
    from sklearn.exceptions import ConvergenceWarning  # slow to import, and not every run needs it
    from sklearn.linear_model import LogisticRegression

    centre, scale = standard(features)
    x = (features - centre) / scale
    two = labels.max() == 1
    # sklearn fits two classes by one vector w = 2 u; in softmax form the weights are u and -u, whose penalty is half of w's.
    inverse = (2 if two else 1) / penalty if penalty > 0 else np.inf
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            found = LogisticRegression(C=inverse, tol=1e-4, max_iter=ITERATIONS).fit(x, labels)
        except ConvergenceWarning as error:
            raise NoOptimumFound(
                f"The probe's logistic regression did not converge in {ITERATIONS:,} iterations at penalty {penalty:g};"
                " give it a larger one."
            ) from error
    if two:
        return _unscaled(np.concatenate([-found.coef_, found.coef_]) / 2, np.array([-0.5, 0.5]) * found.intercept_, centre, scale)
    return _unscaled(found.coef_, found.intercept_, centre, scale)


def at_random(features: Float[np.ndarray, "n d"], classes: int) -> Arrays:
    """Return a probe with weights N(0, 1/d) on standardised features and no bias: one that has learned nothing."""
    centre, scale = standard(features)
    weight = rng(0, REAL, "probe/random").standard_normal((classes, len(scale))) / np.sqrt(len(scale))
    return _unscaled(weight, np.zeros(classes), centre, scale)


def standard(features: Float[np.ndarray, "n d"]) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"]]:
    """Return mean and deviation of each feature; infinite deviation for features that do not vary, so that they weigh nothing."""
    scale = features.std(axis=0, dtype=np.float64)
    return features.mean(axis=0, dtype=np.float64), np.where(scale > DEAD * scale.max(), scale, np.inf)


def logits(probe: Arrays, features: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n c"]:
    """Return the logits, float64.

    Row by row, not by a matrix product, and in one order of memory: a row's logits must depend neither on the rows beside it nor on
    whether the probe was just fitted or read back.
    """
    rows, weight = (np.ascontiguousarray(array, np.float64) for array in (features, probe["weight"]))
    out: np.ndarray = np.einsum("nd,cd->nc", rows, weight) + probe["bias"]
    return out


def log_odds(logits: Float64[np.ndarray, "n c"], labels: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return o_y - log sum_{c != y} exp(o_c): the log-odds of the confidence xi = softmax(o)[y], which do not saturate near 1."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, labels] = -np.inf
    largest = others.max(axis=1)
    out: np.ndarray = logits[rows, labels] - largest - np.log(np.exp(others - largest[:, None]).sum(axis=1))
    return out


def log_loss(log_odds: Float64[np.ndarray, " n"]) -> float:
    """Return the mean of -log xi, xi = 1 / (1 + exp(-log_odds))."""
    return float(np.logaddexp(0, -log_odds).mean())


def _unscaled(weight: np.ndarray, bias: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> Arrays:
    """Return the probe in the unit of the features."""
    weight = np.asarray(weight, np.float64) / scale
    return {"weight": weight, "bias": np.asarray(bias, np.float64) - weight @ centre}
