"""How far classes lie from the middle of all, along where the data's classes lie, with an interval over rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from germline.core.errors import BadInput

Labels = Shaped[np.ndarray, " n"]  # classes, or prompts


@dataclass(frozen=True, eq=False)
class Displacement:
    """The displacement dbar_c - dbar of every class c in a data set: what that of other rows is measured along, and in units of.

    Of rows with class means mbar_c it is sum_c <mbar_c - mbar, dbar_c - dbar> / sum_c |dbar_c - dbar|^2, over the classes that both have:
    1 for the data themselves, below 1 where classes fade towards the mean of all, above 1 where they are exaggerated. Ours.
    """

    classes: Labels
    directions: Float64[np.ndarray, "c d"]

    @classmethod
    def of(cls, data: Float[np.ndarray, "n d"], labels: Labels, among: Labels) -> Displacement:
        """Return the displacement of the data's classes, those only that ``among`` has too.

        Raises:
            BadInput: fewer than two classes in common, or classes with one and the same mean.
        """
        classes = np.intersect1d(labels, among)
        if len(classes) < 2:
            raise BadInput(f"Growth is read off class means, so it needs two classes in samples and data, but there is {len(classes)}.")
        directions = class_means(data, labels, classes) - data.mean(axis=0, dtype=np.float64)
        if not directions.any():
            raise BadInput("Growth is measured in units of the distance between the data's class means, but they are all equal.")
        return cls(classes, directions)

    @property
    def most(self) -> float:
        """The largest displacement of images: every pixel of a class mean black or white, for data from -1 to 1."""
        return float(np.abs(self.directions).sum() / np.square(self.directions).sum())

    def shares(self, rows: Float[np.ndarray, "n d"], labels: Labels) -> Float64[np.ndarray, " n"]:
        """Return every row's share: their sum is the displacement, which is linear in the rows."""
        place, size = np.searchsorted(self.classes, labels), np.square(self.directions).sum()
        place = np.where(np.isin(labels, self.classes), np.minimum(place, len(self.classes) - 1), -1)
        x, total = rows.astype(np.float64), self.directions.sum(axis=0)
        shares: np.ndarray = -(x @ total) / len(rows)
        for number in range(len(self.classes)):
            here = place == number
            shares[here] += x[here] @ self.directions[number] / here.sum()
        return np.asarray(shares / size)


def class_means(rows: Float[np.ndarray, "n d"], labels: Labels, classes: Labels) -> Float64[np.ndarray, "c d"]:
    """Return the mean row of each class."""
    return np.stack([rows[labels == label].mean(axis=0, dtype=np.float64) for label in classes])


def resampled(labels: Labels, draws: int, rng: np.random.Generator) -> Int[np.ndarray, "draws n"]:
    """Return row numbers of bootstrap samples: rows drawn with repeats within their class, so that no class grows."""
    out = np.empty((draws, len(labels)), np.int64)
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        out[:, here] = here[rng.integers(len(here), size=(draws, len(here)))]
    return out
