"""What makes a model."""

from germline.trainers.denoiser import TrainDenoiser
from germline.trainers.gaussian import FitGaussian

__all__ = ["FitGaussian", "TrainDenoiser"]
