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
    "KD-": Entry(
        "Kernel distance",
        "How far the samples as a whole lie from held-out real images, by a polynomial kernel of features (the KID, in another extractor's"
        " features). Unlike the Frechet distance it is 0 on average for a perfect model, whatever the number of images.",
    ),
    "coverage": Entry(
        "Coverage", "Share of held-out real images that are nearer to a sample than to their k-th nearest other held-out image."
    ),
    "precision": Entry("Precision", "Share of samples that lie among held-out real images: within reach of one of them. Fidelity."),
    "recall": Entry("Recall", "Share of held-out real images that lie among the samples: within reach of one of them. Diversity."),
    "density": Entry(
        "Density", "How many held-out real images have a sample within reach, in units of what real images themselves give (1)."
    ),
    "hallucination": Entry(
        "Hallucination rate",
        "Share of samples that lie outside the support of held-out real images. Fresh real images do so at the rate given for them.",
    ),
    "vendi": Entry("Vendi score", "How many images that have nothing in common would be as diverse as the set."),
    "effective_rank": Entry(
        "Effective rank", "Number of directions in which the features vary, counted less where a few hold most of the variance."
    ),
    "variance": Entry("Variance", "Total variance of the features. It falls as samples become alike."),
    "entropy": Entry(
        "Entropy",
        "How far apart the samples lie (nearest neighbours, in nats). It falls as samples become alike, and rises as they drift apart.",
    ),
    "agreement": Entry("Agreement", "Share of samples that a classifier puts into the class they were asked for."),
    "class_entropy": Entry(
        "Entropy of classes", "How evenly a classifier sees the classes in the set, whatever was asked for, in nats; at most log(classes)."
    ),
    "lost_classes": Entry(
        "Lost classes", "Number of classes that a classifier sees less than a tenth as often as in real images (unless told otherwise)."
    ),
    "generalisation": Entry(
        "Generalisation score",
        "Mean distance of a sample to its nearest training image. It falls as a model copies, and rises as it drifts.",
    ),
    "near_duplicates": Entry(
        "Near duplicates",
        "Share of samples nearer to a training image than all but 1 % of fresh real images are to the real set (unless told otherwise).",
    ),
    "training_copies": Entry("Copies of training images", "Share of samples that equal a training image byte for byte."),
    "duplicates": Entry("Duplicates", "Share of samples that equal an earlier sample byte for byte."),
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
