"""Confidence: how surely a probe, fitted once on real latents, puts a row into its own class. The score of latent-space filtering."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.special import expit

from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput, GermlineError
from germline.core.neighbours import slices
from germline.core.pool import Pool
from germline.core.protocols import Extractor
from germline.scorers import clusters, probe

ROWS = 1000


@dataclass(frozen=True)
class Confidence:
    """The log-odds log xi / (1 - xi), xi = softmax(o)[y], that a linear probe gives a row's **own** label y; real rows have one too.

    The probe is a softmax regression on standardised features, fitted once a chain and never on a made row. Log-odds order rows as xi
    does, and go on where xi is 1. Of ``spaces`` (one extractor a noise level, say) the one is used in which the probe is most often
    right about rows of the judge split that no probe is fitted on; of ``penalties`` on the weights the one of least log-loss there.

    ``fit_on`` "real" is R, as in the paper: with more features than rows the probe then knows its own rows by heart, and real rows
    score high for that alone. "judge" is as many rows that are never on offer, the control; "random" has weights drawn at random. Both
    read the space that "real" picks, so that a control differs in one thing. ``clusters`` replaces labels by the k-means cluster of
    the row's features, where there are none.

    Source: arXiv 2511.12742 (probe and xi). Ours: log-odds, standardising, the choice of space and penalty, controls, clusters.

    Raises:
        BadInput: no space, labels that are no classes, a label without a real row, or a judge split without rows to choose by.
        GermlineError: the regression converged at none of the penalties; where it does at some, the others are left out with a warning.
    """

    spaces: tuple[Extractor, ...]
    fit_on: Literal["real", "judge", "random"] = "real"
    clusters: int | None = None
    penalties: tuple[float, ...] = (1.0, 10.0, 100.0, 1_000.0)
    name: ClassVar[str] = "confidence"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not self.spaces or not self.penalties or min(self.penalties) < 0 or (self.clusters is not None and self.clusters < 2):
            raise BadInput(
                f"Confidence needs a space, penalties of 0 or more, and 2 clusters or more if any, but got {len(self.spaces)} spaces,"
                f" penalties {self.penalties}, clusters {self.clusters}."
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """The data set, and what the spaces need."""
        inner = {need for space in self.spaces for need in getattr(space, "needs", ())}
        return ("judge", *sorted(inner - {"judge"}))

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one log-odds a row; the same for a row whenever it is scored, since features and probe are kept."""
        fitted, space, out = self._fitted(ctx), self.space(ctx), np.empty(len(pool))
        for part in slices(len(pool), ROWS):
            rows = pool.take(np.arange(part.start, part.stop))
            features = ctx.features(space, rows)
            out[part] = probe.log_odds(probe.logits(fitted, features), self._labels(fitted, rows, features, ctx))
        return out

    def xi(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return the confidence itself, 0 to 1."""
        confidence: np.ndarray = expit(self(pool, ctx))
        return confidence

    def space(self, ctx: Context) -> Extractor:
        """Return the space that the probe reads."""
        return self.spaces[int(self._fitted(ctx)["space"].item())]

    def accuracies(self, ctx: Context) -> tuple[float, ...]:
        """Return how often the probe was right about the rows that it was chosen by, in each of the spaces; a random one has one space."""
        return tuple(map(float, self._fitted(ctx)["accuracy"]))

    def accuracy(self, ctx: Context) -> float:
        """Return how often the probe was right about them in the space that it reads."""
        return self.accuracies(ctx)[0 if self.fit_on == "random" else int(self._fitted(ctx)["space"].item())]

    def judged(self, ctx: Context) -> int:
        """Return the number of rows that the probe was chosen by."""
        return len(self._rows(ctx)[1])

    def parameters(self, ctx: Context) -> int:
        """Return the number of the probe's weights and biases: d C + C."""
        fitted = self._fitted(ctx)
        return fitted["weight"].size + fitted["bias"].size

    def _fitted(self, ctx: Context) -> Arrays:
        return ctx.once(self, lambda: self._at_random(ctx) if self.fit_on == "random" else self._fit(ctx))

    def _at_random(self, ctx: Context) -> Arrays:
        picked = dict(replace(self, fit_on="real")._fitted(ctx))
        space, check = self.spaces[int(picked["space"].item())], self._rows(ctx)[1]
        drawn, seen = probe.at_random(ctx.features(space, ctx.data.real), len(picked["bias"])), ctx.features(space, check)
        right = probe.logits(drawn, seen).argmax(axis=1) == self._labels(picked, check, seen, ctx)
        return {**picked, **drawn, "accuracy": np.array([right.mean()])}

    def _fit(self, ctx: Context) -> Arrays:
        rows, check = self._rows(ctx)
        best: dict[int, tuple[float, float, Arrays]] = {}
        with ctx.progress("fit the probe", len(self.spaces)) as advance:
            for number, space in enumerate(self.spaces):
                tried = self._tried(ctx.features(space, rows), rows, ctx.features(space, check), check, ctx)
                best[number] = min(tried, key=lambda found: found[0])
                advance(1)
        if self.fit_on == "real":  # most often right; the lower log-loss, then the earlier space, where that is equal
            picked = min(best, key=lambda number: (-best[number][1], best[number][0], number))
        else:
            picked = int(replace(self, fit_on="real")._fitted(ctx)["space"].item())
        accuracy = np.array([best[number][1] for number in best])
        return {**best[picked][2], "space": np.asarray(picked), "accuracy": accuracy}

    def _tried(
        self, features: Float[np.ndarray, "n d"], rows: Pool, seen: Float[np.ndarray, "m d"], check: Pool, ctx: Context
    ) -> Iterator[tuple[float, float, Arrays]]:
        """Yield log-loss and accuracy on the rows to choose by, and the probe, for each penalty."""
        grouped: Arrays = clusters.centres(features, self.clusters) if self.clusters else {}
        labels, truth = self._labels(grouped, rows, features, ctx), self._labels(grouped, check, seen, ctx)
        classes = self.clusters or len(ctx.data.classes)
        if lacking := sorted(set(range(classes)) - set(labels.tolist())):
            raise BadInput(f"Confidence fits on real rows of every class, but class {lacking[0]} has none; give it some.")
        failed: list[str] = []
        for penalty in self.penalties:
            try:
                fitted = probe.fit(features, labels, penalty)
            except probe.NoOptimumFound:
                failed.append(f"{penalty:g}")
                continue
            scores = probe.logits(fitted, seen)
            right = float((scores.argmax(axis=1) == truth).mean())
            yield probe.log_loss(probe.log_odds(scores, truth)), right, {**fitted, **grouped, "penalty": np.asarray(penalty)}
        where = f"Confidence: the probe's regression on {features.shape[1]:,} features of {len(rows):,} rows did not converge at"
        if len(failed) == len(self.penalties):
            raise GermlineError(f"{where} any of the penalties {', '.join(failed)}; give larger penalties, or a space with fewer features.")
        if failed:
            warnings.warn(f"{where} penalty {', '.join(failed)}, which is left out; the larger ones decide.", stacklevel=2)

    def _rows(self, ctx: Context) -> tuple[Pool, Pool]:
        """Return the rows to fit on and those to choose by: the same ones to choose by, whatever is fitted on."""
        real, judge = ctx.data.real, ctx.data.judge
        disjoint = min(len(real), len(judge) // 2)
        if not disjoint:
            raise BadInput(f"Confidence chooses by rows of the judge split, but that of {ctx.data.name} has {len(judge)}; give it rows.")
        first, rest = judge.take(np.arange(disjoint)), judge.take(np.arange(disjoint, len(judge)))
        return (first if self.fit_on == "judge" else real), rest

    def _labels(self, fitted: Arrays, pool: Pool, features: Float[np.ndarray, "n d"], ctx: Context) -> Int64[np.ndarray, " n"]:
        if self.clusters:
            return clusters.nearest(fitted, features)
        classes, labels = len(ctx.data.classes), pool.condition
        if classes < 2 or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes:
            raise BadInput(
                f"Confidence needs 2 classes or more and conditions from 0 to {classes - 1}, but got {labels.dtype} such as {labels[0]!r};"
                " without labels, give clusters."
            )
        return labels.astype(np.int64)
