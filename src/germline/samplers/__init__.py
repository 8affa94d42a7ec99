"""What makes images."""

from germline.samplers.denoised import Denoised
from germline.samplers.gaussian import DrawGaussian

__all__ = ["Denoised", "DrawGaussian"]
