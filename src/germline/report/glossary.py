"""What a metric's name means, in a sentence for someone who never met it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A metric's heading and what it says."""

    title: str
    meaning: str


KNOWN = {
    "FD-": Entry(
        "Frechet distance",
        "How far the samples as a whole lie from held-out real images: the squared Frechet distance of features, at this number of images."
        " It is not the FID of the papers, which uses another extractor.",
    ),
    "coverage": Entry("Coverage", "Share of held-out real images that are nearer to a sample than to their nearest other held-out images."),
    "entropy": Entry(
        "Entropy",
        "How far apart the samples lie (nearest neighbours, in nats). It falls as samples become alike, and rises as they drift apart.",
    ),
    "agreement": Entry("Agreement", "Share of samples that a classifier puts into the class they were asked for."),
    "generalisation": Entry(
        "Generalisation score",
        "Mean distance of a sample to its nearest training image. It falls as a model copies, and rises as it drifts.",
    ),
    "real_share": Entry("Real share", "Share of real rows in the training set."),
    "mnnd": Entry("Nearest-neighbour distance", "Mean distance of a row to the nearest other row of the same set."),
    "mean_age": Entry("Mean age", "How many generations ago the made training rows were made, on average."),
    "ess": Entry("Effective sample size", "Number of training rows, counted less where a few outweigh the others."),
    "entropy_copies": Entry("Copies", "Rows that equal another row of the same set."),
}


def entry(name: str) -> Entry:
    """Return heading and meaning of the metric of this name; without a meaning where the name is not known."""
    words = name.replace("_", " ")
    return KNOWN.get(_start(name), Entry(words[:1].upper() + words[1:], ""))


def rank(name: str) -> int:
    """Return the place of a metric on the page: in the order above, unknown ones last."""
    return [*KNOWN, ""].index(_start(name))


def title(name: str) -> str:
    """Return the heading of a metric."""
    return entry(name).title


def direction(better: str | None) -> str:
    """Return which way is better, in words."""
    known = {"low": "Lower is better.", "high": "Higher is better."}
    return known.get((better or "").removesuffix("er"), "Neither way is better by itself.")


def _start(name: str) -> str:
    return max((start for start in KNOWN if name.startswith(start)), key=len, default="")
