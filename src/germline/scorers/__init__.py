"""One number a row, more is better."""

from germline.scorers.agreement import Agreement
from germline.scorers.confidence import Confidence

__all__ = ["Agreement", "Confidence"]
