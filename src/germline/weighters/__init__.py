"""How much each row on offer counts."""

from germline.weighters.density_ratio import DensityRatio
from germline.weighters.distribution_weight import DistributionWeight

__all__ = ["DensityRatio", "DistributionWeight"]
