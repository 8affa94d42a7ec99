"""One number a row, more is better."""

from germline.scorers.aesthetic import Aesthetic
from germline.scorers.agreement import Agreement
from germline.scorers.clip_score import ClipScore
from germline.scorers.confidence import Confidence
from germline.scorers.dual_encoder import DualEncoder
from germline.scorers.function import Function
from germline.scorers.grouped import Grouped
from germline.scorers.hps import HPS
from germline.scorers.http import Http
from germline.scorers.image_reward import ImageReward
from germline.scorers.pick_score import PickScore
from germline.scorers.ratings import Ratings
from germline.scorers.realness import Realness
from germline.scorers.safety import Safety
from germline.scorers.support import Support
from germline.scorers.trajectory_variance import TrajectoryVariance

__all__ = [
    "HPS",
    "Aesthetic",
    "Agreement",
    "ClipScore",
    "Confidence",
    "DualEncoder",
    "Function",
    "Grouped",
    "Http",
    "ImageReward",
    "PickScore",
    "Ratings",
    "Realness",
    "Safety",
    "Support",
    "TrajectoryVariance",
]
