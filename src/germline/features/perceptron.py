"""The small classifier in which the toy of the Chain of Diffusion is measured."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64, Int64
from threadpoolctl import threadpool_limits

from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool

HIDDEN, ITERATIONS, PENALTY = 64, 400, 1e-3


@dataclass(frozen=True)
class Perceptron:
    """The 64 ReLU units of scikit-learn's ``MLPClassifier((64,), max_iter=400, alpha=1e-3)``, and its decisions.

    **It is fitted on every split but R, the held-out rows included: it has seen the reference that distances are taken to.** It is here
    because the tables of the toy were made in it; compare numbers with those only, and judge with ``Classifier`` elsewhere.

    Source: ours (our notes on arXiv 2407.17493, section 6).

    Raises:
        BadInput: the data set has prompts, not classes.
    """

    name: ClassVar[str] = "perceptron"
    needs: ClassVar[tuple[str, ...]] = ("judge",)  # the digest of the whole data set

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n 64"]:
        """Return (n, 64) float32, not below 0."""
        arrays = self._fitted(ctx)
        units: np.ndarray = np.maximum(_inputs(pool) @ arrays["hidden"] + arrays["hidden.bias"], 0)
        return units.astype(np.float32)

    def log_probabilities(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, "n c"]:
        """Return (n, classes) log-probabilities."""
        arrays = self._fitted(ctx)
        logits = ctx.features(self, pool).astype(np.float64) @ arrays["last"] + arrays["last.bias"]
        if logits.shape[1] == 1:  # of two classes scikit-learn keeps the second one's logit alone
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        logits -= logits.max(axis=1, keepdims=True)
        log_probabilities: np.ndarray = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return log_probabilities

    def predict(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return the most probable class of each row."""
        classes: np.ndarray = self.log_probabilities(pool, ctx).argmax(axis=1)
        return classes.astype(np.int64)

    def _fitted(self, ctx: Context) -> Arrays:
        return ctx.once(self, lambda: self._fit(ctx))

    def _fit(self, ctx: Context) -> Arrays:
        # Slow to import, and few runs need them.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        seen, classes = Pool.concat([ctx.data.reserve, ctx.data.judge, ctx.data.held_out]), len(ctx.data.classes)
        if not classes or set(seen.condition.tolist()) != set(range(classes)):
            raise BadInput(f"Perceptron needs classes, and rows of each of them outside R, but {ctx.data.name} has {classes} classes.")
        network = MLPClassifier((HIDDEN,), max_iter=ITERATIONS, alpha=PENALTY, random_state=0)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of iterations is part of the definition
            network.fit(_inputs(seen), seen.condition)
        return dict(zip(("hidden", "last", "hidden.bias", "last.bias"), (*network.coefs_, *network.intercepts_), strict=True))


def _inputs(pool: Pool) -> Float64[np.ndarray, "n d"]:
    images: np.ndarray = pool.images[:]
    return images.reshape(len(pool), -1) / 127.5 - 1
