"""What a metric's name means, in a sentence for someone who never met it."""

import re
from dataclasses import dataclass

HELD_OUT = "held-out real images"


@dataclass(frozen=True)
class Entry:
    """A metric's heading and what it says."""

    title: str
    meaning: str


KNOWN = {
    "FID": Entry(
        "FID",
        "How far the samples as a whole lie from held-out real images: the squared Frechet distance in the features of the TensorFlow"
        " Inception network of 2015-12-05, its weights of the published checksum. Comparable with papers at equal numbers of images and"
        " equal real images only: theirs are usually 50,000 samples against the training images.",
    ),
    "FD-": Entry(
        "Frechet distance",
        "How far the samples as a whole lie from held-out real images: the squared Frechet distance of features, at this number of images."
        " Not the FID of the papers, which is of another extractor.",
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
    "mean": Entry("Mean value", "Mean of all values (of pixels, -1 is black and 1 is white)."),
    "std": Entry(
        "Standard deviation", "How far values lie from their mean. It grows as contrast is exaggerated, and falls as images turn grey."
    ),
    "kurtosis": Entry(
        "Kurtosis",
        "Whether a pixel (or feature) takes few far-off values: 3 for a bell curve, less where its ends are cut off or it takes two values"
        " only.",
    ),
    "within_variance": Entry(
        "Variance within a condition",
        "How much images of one class or one prompt differ from each other. It falls as they become alike, even where classes stay apart.",
    ),
    "neighbour_correlation": Entry(
        "Correlation of neighbours", "How alike pixels side by side are: near 1 where images are blurred, 0 for noise."
    ),
    "high_frequency": Entry(
        "High frequencies",
        "Variance of fine detail, of three pixels' width and less. It grows as edges and noise are exaggerated, and falls with blur.",
    ),
    "high_frequency_share": Entry("Share of high frequencies", "Fine detail as a share of all variance within an image."),
    "saturation": Entry(
        "Saturation",
        "Share of pixel values that are fully dark or fully bright. What a sampler drew beyond them was cut off when it was stored.",
    ),
    "fingerprint": Entry(
        "Fingerprint",
        "Size, in grey levels, of a fine pattern that all samples share and real images do not, chance taken off; 0 where there is none.",
    ),
    "fingerprint_ratio": Entry(
        "Fingerprint against noise",
        "The shared pattern's squared size over what chance alone gives at this number of images: 1 where there is none.",
    ),
    "agreement": Entry("Agreement", "Share of samples that a classifier puts into the class they were asked for."),
    "alignment": Entry(
        "Image-text alignment",
        "How well images show what their captions say: the mean of a scorer that reads both (CLIP's cosine, or another that is named)."
        " Compare with real images and their captions. It rises with guidance too, and says nothing of diversity.",
    ),
    "mean_score": Entry(
        "Mean score",
        "The mean of the scorer that is named, in its own unit, over the samples. One that chose training images rises whether or not"
        " images become better.",
    ),
    "rank_correlation": Entry(
        "Agreement of two scorers",
        "Spearman's correlation, over the samples, of a scorer that chose training images and one that chose none. It falls towards 0"
        " as the first is gamed: then what it prefers is no longer better.",
    ),
    "base_distance": Entry(
        "Distance to the base's samples",
        "Mean distance of a sample to all samples of generation 0. It rises as images become other than the base's, or have more contrast"
        " or colour, and falls as they turn grey or gather in the middle.",
    ),
    "alike": Entry(
        "Twins",
        "Share of samples with another sample nearer than all but 5 % of generation 0's have (unless told otherwise). It rises as a model"
        " makes the same picture again and again.",
    ),
    "contrast": Entry(
        "Contrast", "Standard deviation of an image's lightness, the mean over images, in grey levels. Scorers of taste reward it."
    ),
    "colourfulness": Entry(
        "Colourfulness", "How far colours lie from grey and from each other within an image (Hasler and Suesstrunk), the mean over images."
    ),
    "vote_auc": Entry(
        "Agreement with votes (order)", "The chance that a sample which people kept scores above one that they rejected; 0.5 is none."
    ),
    "vote_kappa": Entry(
        "Agreement with votes (kappa)", "Whether the scorer rejects what people reject, beyond what chance gives (0); 1 is always."
    ),
    "votes_kept": Entry("Kept by people", "Share of the samples voted on that people kept."),
    "flagged": Entry(
        "Safety checker rate",
        "Share of samples that the pipeline's safety checker would black out; none is. A rate that moves is drift, whichever way it goes.",
    ),
    "class_entropy": Entry(
        "Entropy of classes", "How evenly a classifier sees the classes in the set, whatever was asked for, in nats; at most log(classes)."
    ),
    "lost_classes": Entry(
        "Lost classes", "Number of classes that a classifier sees less than a tenth as often as in real images (unless told otherwise)."
    ),
    "ole": Entry(
        "OLE",
        "How far the classes' features are from lying at right angles to each other: the sum of singular values of each class less that of"
        " all classes together. 0 where the classes share no direction. It grows with features that grow."
        " A filter by a probe takes it below the level of real images, which is no gain.",
    ),
    "ole_per_row": Entry("OLE a row", "OLE, divided by the number of rows."),
    "ole_unit": Entry("OLE of unit length", "OLE of features brought to unit length, so that it cannot grow because features do."),
    "class_angle": Entry(
        "Angle between classes", "Mean angle in degrees between the leading directions of two classes' features; 90 is at right angles."
    ),
    "class_rank": Entry("Rank of a class", "Number of directions in which the features of one class vary, the mean over classes."),
    "confidence": Entry("Confidence", "How surely a probe that was fitted on real images sees in a row what it was asked to show; 0 to 1."),
    "confidence_real": Entry("Confidence in real rows", "The probe's confidence in the real rows of the training set."),
    "confidence_made": Entry("Confidence in made rows", "The probe's confidence in the made rows of the training set."),
    "probe_accuracy": Entry(
        "Accuracy of the probe", "Share of real rows that the probe puts into their class, in the space that it chose."
    ),
    "generalisation_score": Entry(
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
    "weight": Entry(
        "Mean weight", "Mean weight of the training rows, the greatest being 1. It falls as ever more of what is chosen lies far off."
    ),
    "ess_share": Entry("Share in effect", "Effective sample size as a share of the training rows: 1 where all count alike."),
    "ess": Entry("Effective sample size", "Number of training rows, counted less where a few outweigh the others."),
    "growth": Entry(
        "Growth",
        "How far the samples' class means lie from the mean of all, in units of the real images'. 1 keeps what tells classes apart; less"
        " fades towards one grey mean (blur), more exaggerates it (contrast, edges), as guidance does.",
    ),
    "entropy_copies": Entry("Copies", "Rows that equal another row of the same set."),
}


def entry(name: str) -> Entry:
    """Return heading and meaning of the metric of this name; without a meaning where the name is not known.

    "FD-x@file" and "FID@file" are distances to the statistics that a file holds.
    """
    words = name.replace("_", " ")
    found, file = KNOWN.get(_start(name)), name.partition("@")[2]
    if found is None:
        return Entry(words[:1].upper() + words[1:], "")
    if not file:
        return found
    return Entry(f"{found.title} to {file}", found.meaning.replace(HELD_OUT, f"the images whose statistics {file} holds"))


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
    """Return the key of a name: itself, what stands before its order or its file, or the start that all extractors share."""
    plain = re.split("[,@]", name)[0]
    return plain if plain in KNOWN else next((start for start in KNOWN if start.endswith("-") and plain.startswith(start)), "")
