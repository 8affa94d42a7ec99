"""What is measured of a generation."""

from germline.metrics.agreement import Agreement
from germline.metrics.coverage import Coverage, coverage
from germline.metrics.entropy import Entropy, entropy
from germline.metrics.frechet import Frechet, frechet_distance, frechet_distance_of_rows
from germline.metrics.generalisation import Generalisation, generalisation_score
from germline.metrics.real_share import RealShare, effective_sample_size

__all__ = [
    "Agreement",
    "Coverage",
    "Entropy",
    "Frechet",
    "Generalisation",
    "RealShare",
    "coverage",
    "effective_sample_size",
    "entropy",
    "frechet_distance",
    "frechet_distance_of_rows",
    "generalisation_score",
]
