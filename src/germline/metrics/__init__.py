"""What is measured of a generation."""

from germline.metrics.ages import Ages
from germline.metrics.agreement import Agreement
from germline.metrics.alignment import Alignment
from germline.metrics.class_angles import ClassAngles
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
from germline.metrics.ole import OLE
from germline.metrics.power_spectrum import PowerSpectrum
from germline.metrics.predicted_classes import PredictedClasses
from germline.metrics.real_share import RealShare
from germline.metrics.saturation import Saturation
from germline.metrics.spectrum import Spectrum
from germline.metrics.support import Support
from germline.metrics.vendi import Vendi

__all__ = [
    "KID",
    "OLE",
    "Ages",
    "Agreement",
    "Alignment",
    "ClassAngles",
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
    "PowerSpectrum",
    "PredictedClasses",
    "RealShare",
    "Saturation",
    "Spectrum",
    "Support",
    "Vendi",
]
