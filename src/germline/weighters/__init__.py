"""How much each row on offer counts."""

from germline.weighters.density_ratio import DensityRatio

__all__ = ["DensityRatio"]
