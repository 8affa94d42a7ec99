"""What makes images."""

from germline.samplers.command import CommandSampler
from germline.samplers.denoised import Denoised
from germline.samplers.gaussian import DrawGaussian
from germline.samplers.self_correction import SelfCorrected

__all__ = ["CommandSampler", "Denoised", "DrawGaussian", "SelfCorrected"]
