"""Extractors: images to feature vectors."""

from germline.features.alexnet import AlexNet
from germline.features.bottleneck import Bottleneck
from germline.features.classifier import Classifier
from germline.features.efficientnet import EfficientNetLite0
from germline.features.hugging_face import HuggingFace
from germline.features.inception import Inception
from germline.features.mid_block import MidBlock
from germline.features.pca import PCA
from germline.features.perceptron import Perceptron
from germline.features.pixels import Pixels
from germline.features.vae_latents import VAELatents

__all__ = [
    "PCA",
    "AlexNet",
    "Bottleneck",
    "Classifier",
    "EfficientNetLite0",
    "HuggingFace",
    "Inception",
    "MidBlock",
    "Perceptron",
    "Pixels",
    "VAELatents",
]
