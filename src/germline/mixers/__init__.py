"""Which rows are on offer to a generation."""

from germline.mixers.accumulate import Accumulate
from germline.mixers.augment import Augment
from germline.mixers.first import First
from germline.mixers.fresh import Fresh
from germline.mixers.given import Given
from germline.mixers.real_only import RealOnly
from germline.mixers.replace import Replace
from germline.mixers.swapped import Swapped

__all__ = ["Accumulate", "Augment", "First", "Fresh", "Given", "RealOnly", "Replace", "Swapped"]
