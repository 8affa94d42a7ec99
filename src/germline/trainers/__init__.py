"""What makes a model."""

from germline.trainers.base import Base
from germline.trainers.command import CommandTrainer
from germline.trainers.denoiser import TrainDenoiser
from germline.trainers.fine_tune import FineTune
from germline.trainers.gaussian import FitGaussian
from germline.trainers.imported import Import
from germline.trainers.kept import Kept
from germline.trainers.neon import Neon
from germline.trainers.sims import SIMS
from germline.trainers.tune_pipeline import TunePipeline

__all__ = ["SIMS", "Base", "CommandTrainer", "FineTune", "FitGaussian", "Import", "Kept", "Neon", "TrainDenoiser", "TunePipeline"]
