"""Rows far from one another, among more rows than fit into one search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.nearest_pick import NearestPick
from germline.core.neighbours import nearest, slices
from germline.core.progress import Progress
from germline.core.seeds import rng
from germline.pools.density import as_array, sampled
from germline.pools.stacked import Part, Stacked
from germline.pools.unfinished import Unfinished
from germline.selectors.farthest import farthest
from germline.selectors.threshold_decay import threshold_decay

How = Literal["farthest", "threshold-decay"]
LIMIT, COUNTED = 2_000_000, 8192  # rows of one search; rows whose nearest picks are looked for at once


@dataclass(frozen=True)
class Spread:
    """Chosen rows, in order of choice, and how far each lies from the nearest of those before it (infinite for the first).

    Where rows were picked part by part, then over the union, ``ratio`` is the covering radius of the choice, measured on ``measured``
    rows, over its separation. It is at most 1 for an exact search, and no choice of as many rows covers better than by half the
    separation (Gonzalez 1985), so twice the ratio bounds how far from the best this one is. None for an exact search.
    """

    rows: Int64[np.ndarray, " n"]
    distances: Float64[np.ndarray, " n"]
    parts: int = 1
    ratio: float | None = None
    measured: int = 0


@dataclass(frozen=True)
class Search:
    """What a search is, and where it keeps how far it came. ``of`` names the features; ``limit`` is the most rows of one search."""

    how: How
    n: int
    out: Path
    of: str
    seed: int = 0
    tau: float | None = None
    decay: float = 0.95
    limit: int = LIMIT

    def __call__(self, features: Stacked | Part, progress: Progress) -> Spread:
        """Return the rows.

        Raises:
            BadInput: there are fewer rows, or more than threshold decay can look at, or more picks than parts can give.
        """
        if len(features) <= self.limit:
            return Spread(*self._one(features, self.n, "all", progress))
        if self.how != "farthest" or 2 * self.n > self.limit:
            raise BadInput(
                f"{self.how} of {self.n:,} among {len(features):,} rows: above {self.limit:,} rows only farthest works, part by part, with"
                f" an n of at most {self.limit // 2:,}; lower --n, or choose from a part of the pool."
            )
        return self._by_parts(features, progress)

    def weights(self, features: Stacked | Part, rows: Int64[np.ndarray, " n"], progress: Progress) -> Float64[np.ndarray, " n"]:
        """Return how many rows are nearest to each pick, over the mean; with them a mean over picks is about one over all rows.

        All rows are compared with all picks, so it may take longer than the search; a killed count goes on where it was.
        """
        unfinished, picks = self._state("weights"), features[rows]
        state = dict(unfinished.load() or {"counts": np.zeros(len(rows), np.int64), "done": np.array(0)})
        done = int(state["done"])
        with progress("weights", len(features) - done) as advance:
            for part in slices(len(features), COUNTED):
                if part.start >= done:
                    state["counts"] += np.bincount(nearest(features[part], picks)[0][:, 0], minlength=len(rows))
                    state["done"] = np.array(part.stop)
                    unfinished.save(lambda: state)
                    advance(part.stop - part.start)
        unfinished.finish(state)
        found: np.ndarray = state["counts"] / state["counts"].mean()
        return found

    def _by_parts(self, features: Stacked | Part, progress: Progress) -> Spread:
        """Pick in each part as many as the union can hold, n at most, then n of the union. Not exact."""
        parts = list(slices(len(features), self.limit))
        each = min(self.n, self.limit // len(parts))
        chosen = []
        for number, part in enumerate(parts):
            rows = np.arange(part.start, part.stop)
            chosen.append(rows[self._one(Part(features, rows), min(each, len(rows)), f"part {number}", progress)[0]])
        union = np.concatenate(chosen)
        if len(union) < self.n:
            raise BadInput(
                f"--n {self.n:,} of {len(features):,} rows in {len(parts)} parts leaves {len(union):,} to choose from; lower --n."
            )
        rows, distances = self._one(Part(features, union), self.n, "union", progress)
        rows = union[rows]
        sample = sampled(len(features))
        with progress("radius", len(sample)) as advance:
            picks, radius = features[rows], 0.0
            for part in slices(len(sample), 2048):
                radius = max(radius, float(nearest(features[sample[part]], picks)[1].max()))
                advance(part.stop - part.start)
        return Spread(rows, distances, len(parts), radius / float(distances[1:].min(initial=np.inf)), len(sample))

    def _one(self, features: Stacked | Part, n: int, part: str, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of one search; what a killed one came to is gone on from."""
        unfinished = self._state(part)
        state = unfinished.load()
        last = [0 if state is None else len(state["picks"])]
        order = rng(self.seed, 0, f"pools/{self.how}").permutation(len(features))
        ends: dict[str, np.ndarray] = {}
        with progress(f"{self.how}, {part}", n - last[0]) as advance:

            def watch(chosen: NearestPick) -> None:
                advance(len(chosen) - last[0])
                last[0] = len(chosen)
                unfinished.save(chosen.state)
                if not chosen.missing:
                    ends.update(chosen.state())

            if n == 1:
                ends.update(picks=order[:1], squared=np.array([np.inf]))
            elif state is not None and len(state["picks"]) == n:
                ends.update(state)
            elif self.how == "farthest":
                farthest(as_array(features), n, int(order[0]), watch, state)
            else:
                threshold_decay(as_array(features), order, n, self.tau, self.decay, watch, state)
        unfinished.finish(ends)
        return ends["picks"], np.sqrt(ends["squared"].astype(np.float64))

    def _state(self, part: str) -> Unfinished:
        of: dict[str, Json] = {"how": self.how, "n": self.n, "of": self.of, "seed": self.seed, "tau": self.tau, "decay": self.decay}
        return Unfinished(self.out, {**of, "part": part, "limit": self.limit})
