"""Which rows are trained on."""

from germline.selectors.among import Among
from germline.selectors.best_of import BestOf
from germline.selectors.capped import Capped
from germline.selectors.centre_matching import CentreMatching
from germline.selectors.densest import Densest
from germline.selectors.farthest import Farthest
from germline.selectors.k_means_coverage import KMeansCoverage
from germline.selectors.matched import Matched
from germline.selectors.per_class import PerClass
from germline.selectors.preference import Preference
from germline.selectors.real_share import RealShare
from germline.selectors.stratified import Stratified
from germline.selectors.then import Then
from germline.selectors.threshold_decay import ThresholdDecay
from germline.selectors.top import Top
from germline.selectors.uniform import Uniform
from germline.selectors.voted import Voted

__all__ = [
    "Among",
    "BestOf",
    "Capped",
    "CentreMatching",
    "Densest",
    "Farthest",
    "KMeansCoverage",
    "Matched",
    "PerClass",
    "Preference",
    "RealShare",
    "Stratified",
    "Then",
    "ThresholdDecay",
    "Top",
    "Uniform",
    "Voted",
]
