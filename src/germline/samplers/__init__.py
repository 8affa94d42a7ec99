"""What makes images."""

from germline.samplers.command import CommandSampler
from germline.samplers.denoised import Denoised
from germline.samplers.gaussian import DrawGaussian
from germline.samplers.re_encoded import ReEncoded
from germline.samplers.reloaded import Reloaded
from germline.samplers.rounds import Rounds
from germline.samplers.sample_pipeline import SamplePipeline
from germline.samplers.self_correction import SelfCorrected

__all__ = ["CommandSampler", "Denoised", "DrawGaussian", "ReEncoded", "Reloaded", "Rounds", "SamplePipeline", "SelfCorrected"]
