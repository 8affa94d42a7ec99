"""What is measured of a generation."""

from germline.metrics.ages import Ages
from germline.metrics.agreement import Agreement
from germline.metrics.alignment import Alignment
from germline.metrics.alike import Alike
from germline.metrics.base_distance import BaseDistance
from germline.metrics.class_angles import ClassAngles
from germline.metrics.colour import Colour
from germline.metrics.confidence import Confidence
from germline.metrics.coverage import Coverage
from germline.metrics.duplicates import Duplicates
from germline.metrics.entropy import Entropy
from germline.metrics.fingerprint import Fingerprint
from germline.metrics.flagged import Flagged
from germline.metrics.frechet import Frechet
from germline.metrics.generalisation import Generalisation
from germline.metrics.growth import Growth
from germline.metrics.hallucination import Hallucination
from germline.metrics.kid import KID
from germline.metrics.latent_statistics import LatentStatistics
from germline.metrics.mean_score import MeanScore
from germline.metrics.ole import OLE
from germline.metrics.power_spectrum import PowerSpectrum
from germline.metrics.predicted_classes import PredictedClasses
from germline.metrics.rank_correlation import RankCorrelation
from germline.metrics.real_share import RealShare
from germline.metrics.saturation import Saturation
from germline.metrics.spectrum import Spectrum
from germline.metrics.support import Support
from germline.metrics.vendi import Vendi
from germline.metrics.vote_agreement import VoteAgreement
from germline.metrics.votes_kept import VotesKept
from germline.metrics.weights import Weights

__all__ = [
    "KID",
    "OLE",
    "Ages",
    "Agreement",
    "Alignment",
    "Alike",
    "BaseDistance",
    "ClassAngles",
    "Colour",
    "Confidence",
    "Coverage",
    "Duplicates",
    "Entropy",
    "Fingerprint",
    "Flagged",
    "Frechet",
    "Generalisation",
    "Growth",
    "Hallucination",
    "LatentStatistics",
    "MeanScore",
    "PowerSpectrum",
    "PredictedClasses",
    "RankCorrelation",
    "RealShare",
    "Saturation",
    "Spectrum",
    "Support",
    "Vendi",
    "VoteAgreement",
    "VotesKept",
    "Weights",
]
