"""OLE: how far the latents of the classes are from lying at right angles to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.pool import Pool
from germline.core.protocols import Extractor
from germline.metrics.by_class import balanced, each_set


@dataclass(frozen=True)
class OLE:
    """sum_c |M_c|_* - |M|_*, M_c the features of class c, M of all classes, |.|_* the sum of singular values.

    Low is good down to the level of real rows; what a probe filtered lies below it (docs/results/lsf.md).

    Never below 0, and 0 exactly if the spans of the classes are orthogonal. ``ole`` is raw, ``ole_per_row`` divided by the number of
    rows, ``ole_unit`` raw on features of unit length: the last cannot grow because features do. All grow with the rows, so at most
    ``per_class`` rows of each class are taken, drawn by a fixed seed, equally many of every class: compare at equal n only. The
    curve holds the value in each of ``over`` (one extractor a noise level, say); the label is what a row was asked to show.

    Source: arXiv 2511.12742, after the loss of arXiv 1712.01727 without its hinge, weight and division; the variants are ours.

    Raises:
        BadInput: conditions that are no classes, or fewer than two classes; of the training set, a warning instead.
    """

    extractor: Extractor
    over: tuple[Extractor, ...] = ()
    per_class: int = 100

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the three numbers of samples, training set and, for reference, held-out rows."""

        def judged(of: str, pool: Pool) -> list[Measurement]:
            rows = balanced(pool, self.per_class, "OLE")
            features = evidence.ctx.features(self.extractor, rows)
            (n, d), who, value = features.shape, name_of(self.extractor), variants(features, rows.condition)
            levels = [variants(evidence.ctx.features(space, rows), rows.condition) for space in self.over]
            curves = {name: tuple(level[name] for level in levels) or None for name in value}
            return [Measurement(name, number, of, n, who, None, d, curve=curves[name], better="low") for name, number in value.items()]

        return each_set(evidence, "OLE", judged)


def variants(features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]) -> dict[str, float]:
    """Return OLE raw, per row, and raw on rows of unit length."""
    raw = ole(features, labels)
    length = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return {"ole": raw, "ole_per_row": raw / len(features), "ole_unit": ole(features / np.where(length > 0, length, 1), labels)}


def ole(features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]) -> float:
    """Return sum_c |M_c|_* - |M|_*, in the unit of the features: no centring, no division."""
    parts = [nuclear_norm(features[labels == label]) for label in np.unique(labels)]
    return sum(parts) - nuclear_norm(features)


def nuclear_norm(features: Float[np.ndarray, "n d"]) -> float:
    """Return the sum of singular values: that of the roots of the eigenvalues of the smaller Gram matrix, X X^T or X^T X.

    In float64 throughout: a Gram matrix in float32 gives an OLE below 0 for orthogonal classes (measured).
    """
    x = np.asarray(features, np.float64)
    gram = x.T @ x if x.shape[1] < len(x) else x @ x.T
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0)).sum())
