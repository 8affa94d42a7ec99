"""Which rows are trained on."""

from germline.selectors.among import Among
from germline.selectors.densest import Densest
from germline.selectors.farthest import Farthest
from germline.selectors.matched import Matched
from germline.selectors.per_class import PerClass
from germline.selectors.real_share import RealShare
from germline.selectors.stratified import Stratified
from germline.selectors.threshold_decay import ThresholdDecay
from germline.selectors.top import Top
from germline.selectors.uniform import Uniform

__all__ = ["Among", "Densest", "Farthest", "Matched", "PerClass", "RealShare", "Stratified", "ThresholdDecay", "Top", "Uniform"]
