"""What is measured of a generation."""

from germline.metrics.agreement import Agreement
from germline.metrics.coverage import Coverage
from germline.metrics.entropy import Entropy
from germline.metrics.frechet import Frechet
from germline.metrics.generalisation import Generalisation
from germline.metrics.real_share import RealShare

__all__ = ["Agreement", "Coverage", "Entropy", "Frechet", "Generalisation", "RealShare"]
