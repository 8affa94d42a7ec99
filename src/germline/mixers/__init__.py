"""Which rows are on offer to a generation."""

from germline.mixers.accumulate import Accumulate
from germline.mixers.augment import Augment
from germline.mixers.fresh import Fresh
from germline.mixers.real_only import RealOnly
from germline.mixers.replace import Replace

__all__ = ["Accumulate", "Augment", "Fresh", "RealOnly", "Replace"]
