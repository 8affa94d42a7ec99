"""What makes a model."""

from germline.trainers.command import CommandTrainer
from germline.trainers.denoiser import TrainDenoiser
from germline.trainers.gaussian import FitGaussian
from germline.trainers.neon import Neon
from germline.trainers.sims import SIMS

__all__ = ["SIMS", "CommandTrainer", "FitGaussian", "Neon", "TrainDenoiser"]
